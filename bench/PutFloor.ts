/** The floor of a first load: a bare loop of appending puts, whose entries are in memory before the clock starts. */
import * as Bare from "./BareLmdb.ts"
import type { FloorResult } from "./Results.ts"

interface Entries {
  readonly dbi: string
  readonly count: number
  /**
   * For each entry, the lengths of its key and value, followed by both. There are several blocks, because the size of a
   * buffer is limited.
   */
  readonly blocks: ReadonlyArray<Buffer>
}

const blockBytes = 64 * 2 ** 20

/** Reads all entries of a DBI into memory, one after the other. */
const load = (environment: Bare.Environment, dbi: string): Entries => {
  const blocks: Array<Buffer> = []
  const { keyStart, seen } = Bare
  let block = Buffer.allocUnsafeSlow(blockBytes)
  let position = 0
  let count = 0
  for (const _ of Bare.openDbi(environment, dbi).getRange({ start: undefined })) {
    const keyLength = seen.keyEnd - keyStart
    if (position + 8 + keyLength + seen.valueEnd > blockBytes) {
      blocks.push(block.subarray(0, position))
      block = Buffer.allocUnsafeSlow(blockBytes)
      position = 0
    }
    block.writeUInt32LE(keyLength, position)
    block.writeUInt32LE(seen.valueEnd, position + 4)
    position += 8
    for (let i = keyStart; i < seen.keyEnd; i++) block[position++] = seen.key[i]!
    for (let i = 0; i < seen.valueEnd; i++) block[position++] = seen.value[i]!
    count++
  }
  blocks.push(block.subarray(0, position))
  return { dbi, count, blocks }
}

/** The position of the loop of puts. */
class Puts {
  private block = 0
  private position = 0
  private readonly blocks: ReadonlyArray<Buffer>

  constructor(blocks: ReadonlyArray<Buffer>) {
    this.blocks = blocks
    this.enter()
  }

  private enter(): void {
    Bare.toPut.key = this.blocks[this.block]!
    Bare.putFrom(this.blocks[this.block]!.buffer as ArrayBuffer)
  }

  /** Puts `count` entries, or fewer at the end. */
  put(dbi: Bare.Dbi, count: number): void {
    const { toPut } = Bare
    for (let n = 0; n < count; n++) {
      if (this.position === this.blocks[this.block]!.length) {
        if (++this.block === this.blocks.length) return
        this.position = 0
        this.enter()
      }
      const block = this.blocks[this.block]!
      const keyLength = block.readUInt32LE(this.position)
      const valueLength = block.readUInt32LE(this.position + 4)
      toPut.keyFrom = this.position + 8
      toPut.keyTo = toPut.keyFrom + keyLength
      toPut.value.start = block.byteOffset + toPut.keyTo
      toPut.value.end = toPut.value.start + valueLength
      dbi.putSync(0, 0, { append: true })
      this.position = toPut.keyTo + valueLength
    }
  }
}

/**
 * Appends the entries of `source` to `target`, with `putsPerTransaction` puts in each transaction. 0 means all in one.
 */
export const put = (source: string, target: string, putsPerTransaction: number): FloorResult => {
  const from = Bare.open(source)
  const content = Bare.dbiNames(from).map((dbi) => load(from, dbi))
  const environment = Bare.open(target)
  let longestCommitMillis = 0
  /** Runs `body` in a transaction, and measures the time of its commit. */
  const commit = (body: () => void) => {
    let done = 0
    environment.transactionSync(() => {
      body()
      done = performance.now()
    })
    longestCommitMillis = Math.max(longestCommitMillis, performance.now() - done)
  }
  const begin = performance.now()
  const targets = content.map(({ blocks, count, dbi }) => ({
    count,
    dbi: Bare.openDbi(environment, dbi, true),
    blocks
  }))
  if (putsPerTransaction === 0) {
    commit(() => targets.forEach(({ blocks, count, dbi }) => new Puts(blocks).put(dbi, count)))
  } else {
    for (const { blocks, count, dbi } of targets) {
      const puts = new Puts(blocks)
      for (let n = 0; n < count; n += putsPerTransaction)
        commit(() => puts.put(dbi, Math.min(putsPerTransaction, count - n)))
    }
  }
  return {
    millis: performance.now() - begin,
    amount: content.reduce((sum, { count }) => sum + count, 0),
    longestCommitMillis
  }
}
