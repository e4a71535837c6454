/**
 * Reads a restored LMDB back from its file and returns counts and a digest of each DBI. In shadow mode, it checks that
 * the application's DBIs contain exactly the live entries of their shadows.
 */
import { Effect } from "effect"
import * as DbiFlags from "../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { Compression } from "../../services/Compression.ts"
import { type Cursor, type Dbi, type ForwardCursor, Lmdb, type ReadTransaction } from "../../services/Lmdb.ts"
import type { ReadBack } from "../../services/LmdbTask.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import * as MainEntries from "../engine/shadow/MainEntries.ts"
import { EntryDigest } from "../verify/EntryDigest.ts"
import { EntrySource, LmdbEntries, Step } from "../verify/EntrySource.ts"
import { columns } from "./Columns.ts"
import { TaskFailed } from "./TaskFailed.ts"

interface Counted {
  readonly entries: number
  readonly tombstones: number
  readonly digest: string
}

/** Entries of an application without headers. Their time counts as 0. */
class PlainEntries extends EntrySource {
  readonly feed = Effect.void
  private readonly cursor: ForwardCursor

  constructor(cursor: ForwardCursor) {
    super()
    this.cursor = cursor
  }

  advance(): number {
    const { cursor } = this
    if (!cursor.next()) return Step.End
    this.key = cursor.key
    this.keyStart = cursor.keyStart
    this.keyEnd = cursor.keyEnd
    this.value = cursor.value
    this.valueStart = cursor.valueStart
    this.valueEnd = cursor.valueEnd
    return Step.Entry
  }
}

/** The live entries of a DBI with headers, without the headers. */
class LiveEntries extends LmdbEntries {
  override advance(): number {
    let step = super.advance()
    while (step === Step.Entry && this.isDeleted) step = super.advance()
    this.timestampHigh = 0
    this.timestampLow = 0
    return step
  }
}

/** The read transaction, and the progress of reading it back. */
interface Reading {
  readonly transaction: ReadTransaction
  readonly meter: Meter
}

const count = Effect.fnUntraced(function* (
  { meter, transaction }: Reading,
  dbi: Dbi,
  sourceOf: (cursor: Cursor) => EntrySource
) {
  const { digestNow } = yield* Compression
  const cursor = yield* Effect.acquireRelease(
    attempt(() => transaction.cursor(dbi.name)),
    (cursor) => Effect.sync(() => cursor.close())
  )
  const source = sourceOf(cursor)
  const digest = new EntryDigest(digestNow)
  let entries = 0
  let tombstones = 0
  yield* inSlices((deadline) => {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        if (source.advance() === Step.End) {
          meter.add(step)
          return true
        }
        entries++
        if (source.isDeleted) tombstones++
        digest.add(source)
      }
      meter.add(stepsPerLook)
      if (performance.now() >= deadline) return false
    }
  })
  return { entries, tombstones, digest: digest.hex } satisfies Counted
}, Effect.scoped)

const withHeaders = (reading: Reading, dbi: Dbi) => count(reading, dbi, (cursor) => new LmdbEntries(dbi.name, cursor))

const withoutHeaders = (reading: Reading, dbi: Dbi) =>
  count(reading, dbi, (cursor) => new PlainEntries(MainEntries.open(dbi, cursor)))

/** Fails unless the application's DBI contains exactly the live entries of its shadow. */
const requireSame = Effect.fnUntraced(function* (reading: Reading, main: Dbi, shadow: Dbi) {
  const [here, there] = yield* Effect.all([
    withoutHeaders(reading, main),
    count(reading, shadow, (cursor) => new LiveEntries(shadow.name, cursor))
  ])
  if (here.entries === there.entries && here.digest === there.digest) return
  return yield* new TaskFailed({
    problem: `DBI "${DbiName.display(main.name)}" has ${here.entries} entries, which are not the ${there.entries} live ones of its shadow`
  })
})

const countDbi = Effect.fnUntraced(function* (task: ReadBack, reading: Reading, dbi: Dbi) {
  if (task.headers === "none") return yield* withoutHeaders(reading, dbi)
  if (task.headers === "native") return yield* withHeaders(reading, dbi)
  const shadow = reading.transaction.dbis.find(({ name }) => name === ShadowName.of(dbi.name))
  if (shadow === undefined)
    return yield* new TaskFailed({ problem: `DBI "${DbiName.display(dbi.name)}" has no shadow` })
  yield* requireSame(reading, dbi, shadow)
  return yield* withHeaders(reading, shadow)
})

/** Returns how many entries are read: in shadow mode, the live ones are read in both DBIs, and all shadows once more. */
const readsOf = ({ dbis }: ReadTransaction, headers: ReadBack["headers"]): number => {
  const sum = (isCounted: (name: DbiName.DbiName) => boolean) =>
    dbis.reduce((total, { entries, name }) => (isCounted(name) ? total + entries : total), 0)
  const ofApplication = sum((name) => !DbiName.isPrivate(name))
  return headers === "shadow" ? 2 * ofApplication + sum(ShadowName.isShadow) : ofApplication
}

/** Fails if there are fewer or more entries than the merges have put. */
const requireEntries = (found: number, { entriesMax, entriesMin }: ReadBack) =>
  found >= entriesMin && found <= entriesMax
    ? Effect.void
    : new TaskFailed({
        problem: `it holds ${found} entries, but ${entriesMin === entriesMax ? entriesMin : `${entriesMin} to ${entriesMax}`} were merged`
      })

/** Runs the task and returns the text to print. */
export const run = Effect.fn("ReadBack.run")(function* (task: ReadBack) {
  const lmdb = yield* Lmdb
  const transaction = yield* lmdb.read
  const dbis = transaction.dbis.filter(({ name }) => !DbiName.isPrivate(name))
  const { measure } = yield* Progress
  const total = readsOf(transaction, task.headers)
  const meter = yield* measure({ label: `Reading ${task.target.database} back`, unit: "entries", total })
  const rows: Array<ReadonlyArray<string>> = []
  let entries = 0
  for (const dbi of dbis) {
    const counted = yield* countDbi(task, { transaction, meter }, dbi)
    entries += counted.entries
    const tombstones = task.headers === "none" ? "-" : String(counted.tombstones)
    rows.push([
      DbiName.display(dbi.name),
      String(counted.entries),
      tombstones,
      DbiFlags.display(dbi.flags),
      counted.digest
    ])
  }
  yield* requireEntries(entries, task)
  const { fileSize, mapSize } = yield* lmdb.info
  const head = ["DBI", "Entries", "Tombstones", "Flags", "Digest"]
  return (
    `Map size:   ${mapSize}\nFile size:  ${fileSize}\n` +
    (rows.length === 0 ? "" : `\n${columns([head, ...rows], "lrrll")}`)
  )
}, Effect.scoped)
