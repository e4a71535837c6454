/**
 * Prints a snapshot that arrives in chunks as text or JSON lines, and holds no more of it than the reader does. A
 * corrupt snapshot is printed up to the point where it becomes unreadable.
 *
 * The description of a DBI may legally follow its entries, and the meta may follow the DBIs. The snapshot is therefore
 * read twice: once for its `Outline`, and once to be printed. Source: docs/cli.md.
 */
import { Duration } from "effect"
import { readable, rfc3339 } from "./ReadableBytes.ts"
import * as DbiFlags from "../lmdb/DbiFlags.ts"
import * as DbiName from "../lmdb/DbiName.ts"
import type { EntryBatch } from "./EntryBatch.ts"
import * as GoDuration from "../settings/values/GoDuration.ts"
import * as KeyOrder from "../lmdb/KeyOrder.ts"
import { RisingKeys } from "../lmdb/KeyOrderCheck.ts"
import type { SnapshotMeta } from "./SnapshotMeta.ts"
import { type DbiHead, Event, SnapshotCorrupt, SnapshotReader } from "./SnapshotReader.ts"

export interface Outline {
  readonly formatVersion: number
  readonly compatVersion: number
  readonly meta: SnapshotMeta
  /** The head of each DBI message, in order. */
  readonly heads: ReadonlyArray<DbiHead>
}

/** Walks through a snapshot. An error ends the walk and is kept in `failure`; everything before it has been visited. */
abstract class Walk {
  protected readonly reader = new SnapshotReader()
  failure: SnapshotCorrupt | undefined

  protected abstract dbiStart(): void
  protected abstract entries(batch: EntryBatch): void
  protected abstract dbiEnd(): void

  protected walk(): void {
    if (this.failure !== undefined) return
    try {
      for (;;) {
        const event = this.reader.next()
        if (event === Event.NeedChunk || event === Event.End) return
        if (event === Event.DbiStart) this.dbiStart()
        else if (event === Event.DbiEnd) this.dbiEnd()
        else this.entries(this.reader.batch)
      }
    } catch (error) {
      if (!(error instanceof SnapshotCorrupt)) throw error
      this.failure = error
      // The entries of the unfinished batch are complete.
      if (this.reader.batch.count > 0) this.entries(this.reader.batch)
    }
  }
}

export class OutlineReader extends Walk {
  private readonly heads: Array<DbiHead> = []

  /** Reads the whole chunk at once. */
  push(chunk: Uint8Array): void {
    if (this.failure !== undefined) return
    this.reader.push(chunk)
    this.walk()
  }

  /** Returns the outline of the pushed chunks. A DBI that breaks off is included, as far as it describes itself. */
  finish(): Outline {
    this.reader.finish()
    this.walk()
    const { compatVersion, dbi, formatVersion, meta } = this.reader
    if (dbi.index === this.heads.length) this.dbiEnd()
    return { formatVersion, compatVersion, meta: { ...meta }, heads: this.heads }
  }

  protected override dbiStart(): void {}
  protected override entries(): void {}
  protected override dbiEnd(): void {
    const { flags, name, transform } = this.reader.dbi
    this.heads.push({ flags, name, transform })
  }
}

interface Form {
  readonly head: (outline: Outline) => string
  readonly dbi: (head: DbiHead) => string
  /** Formats the entries of a batch. `now` is in nanoseconds since the UNIX epoch. */
  readonly entries: (batch: EntryBatch, now: bigint) => string
}

const bufferOf = ({ bytes }: EntryBatch): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

const timestampAt = ({ timestampHigh, timestampLow }: EntryBatch, index: number): bigint =>
  (BigInt(timestampHigh[index]!) << 32n) | BigInt(timestampLow[index]!)

/** Formats an age in whole seconds, or in nanoseconds when it is less than a second. */
const age = (timestamp: bigint, now: bigint): string => {
  const nanos = now - timestamp
  const seconds = nanos - (nanos % 1_000_000_000n)
  return GoDuration.format(Duration.nanos(seconds === 0n ? nanos : seconds))
}

const text: Form = {
  head: ({ compatVersion, formatVersion, meta }) =>
    `{
  "FormatVersion": ${formatVersion},
  "CompatVersion": ${compatVersion},
  "Meta": {
    "GenerationID": ${JSON.stringify(meta.generationID)},
    "InstanceID": ${JSON.stringify(meta.instanceID)},
    "Hostname": ${JSON.stringify(meta.hostname)},
    "LmdbTxnID": ${meta.lmdbTxnID},
    "TimestampNano": ${meta.timestampNano},
    "DatabaseName": ${JSON.stringify(meta.databaseName)},
    "FromLmdbTxnID": ${meta.fromLmdbTxnID}
  }
}
`,
  dbi: ({ flags, name, transform }) =>
    `\n### ${DbiName.display(name)} (transform=${JSON.stringify(transform)}, flags="${flags === 0n ? "" : DbiFlags.display(flags)}")\n\n`,
  entries: (batch, now) => {
    const bytes = bufferOf(batch)
    let lines = ""
    for (let index = 0; index < batch.count; index++) {
      const key = readable(bytes.subarray(batch.keyStart[index]!, batch.keyEnd[index]!), now)
      const value = readable(bytes.subarray(batch.valueStart[index]!, batch.valueEnd[index]!), now)
      const timestamp = timestampAt(batch, index)
      const flags = batch.flags[index]!.toString(16).padStart(2, "0")
      lines += `${key}  =  ${value}  (${rfc3339(timestamp)}, ${age(timestamp, now)} ago; flags=${flags})\n`
    }
    return lines
  }
}

const json: Form = {
  head: ({
    compatVersion,
    formatVersion,
    meta: { databaseName, fromLmdbTxnID, generationID, hostname, instanceID, lmdbTxnID, timestampNano }
  }) =>
    `${JSON.stringify({
      snapshot: {
        formatVersion,
        compatVersion,
        generationID,
        instanceID,
        hostname,
        databaseName,
        lmdbTxnID: `${lmdbTxnID}`,
        fromLmdbTxnID: `${fromLmdbTxnID}`,
        timestampNano: `${timestampNano}`
      }
    })}\n`,
  dbi: ({ flags, name, transform }) => {
    const readableName = DbiName.toText(name)
    const named =
      readableName === undefined
        ? `"dbiHex":"${Buffer.from(DbiName.toBytes(name)).toString("hex")}"`
        : `"dbi":${JSON.stringify(readableName)}`
    return `{${named},"flags":${flags},"transform":${JSON.stringify(transform)}}\n`
  },
  entries: (batch) => {
    const bytes = bufferOf(batch)
    let lines = ""
    for (let index = 0; index < batch.count; index++) {
      const key = bytes.toString("hex", batch.keyStart[index]!, batch.keyEnd[index]!)
      const value = bytes.toString("hex", batch.valueStart[index]!, batch.valueEnd[index]!)
      lines += `{"key":"${key}","value":"${value}","timestampNano":"${timestampAt(batch, index)}","flags":${batch.flags[index]!}}\n`
    }
    return lines
  }
}

/** With a transform, the keys are those of the shadow DBI. */
const orderOf = ({ flags, transform }: DbiHead): KeyOrder.KeyOrder =>
  transform === "" ? KeyOrder.orderOf(Number(flags & BigInt(DbiFlags.persistent))) : KeyOrder.plain

export class SnapshotPrinter extends Walk {
  private readonly form: Form
  private readonly outline: Outline
  private readonly now: bigint
  private readonly selected: (name: DbiName.DbiName) => boolean
  private printed: string
  private index = -1
  private printing = false
  private rising: RisingKeys | undefined
  /** The first key that is out of order. The rest of the snapshot can still be read and is printed. */
  private disorder: SnapshotCorrupt | undefined

  /** `now` is in nanoseconds since the UNIX epoch. */
  constructor(options: {
    readonly format: "text" | "json"
    readonly outline: Outline
    readonly now: bigint
    readonly selected: (name: DbiName.DbiName) => boolean
  }) {
    super()
    this.form = options.format === "json" ? json : text
    this.outline = options.outline
    this.now = options.now
    this.selected = options.selected
    // An outline without a version and DBIs is not a snapshot, so there is nothing to show.
    const { formatVersion, heads } = options.outline
    this.printed = formatVersion === 0 && heads.length === 0 ? "" : this.form.head(options.outline)
  }

  /** Returns the lines for what has been read and not yet been printed. */
  push(chunk: Uint8Array): string {
    if (this.failure === undefined) {
      this.reader.push(chunk)
      this.walk()
    }
    return this.take()
  }

  finish(): string {
    this.reader.finish()
    this.walk()
    this.failure ??= this.disorder
    return this.take()
  }

  private take(): string {
    const { printed } = this
    this.printed = ""
    return printed
  }

  protected override dbiStart(): void {
    const head = this.outline.heads[++this.index]
    this.printing = head !== undefined && this.selected(head.name)
    this.rising = head && new RisingKeys(orderOf(head))
    if (head !== undefined && this.printing) this.printed += this.form.dbi(head)
  }
  protected override entries(batch: EntryBatch): void {
    if (this.printing) this.printed += this.form.entries(batch, this.now)
    if (this.disorder !== undefined) return
    try {
      this.rising?.checkBatch(batch)
    } catch (error) {
      if (!(error instanceof SnapshotCorrupt)) throw error
      this.disorder = new SnapshotCorrupt({ problem: error.problem, offset: this.reader.offset })
    }
  }
  protected override dbiEnd(): void {}
}
