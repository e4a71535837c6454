/**
 * Prints the content of a snapshot as text or as JSON lines, in a stream that is never in memory as a whole. The bytes
 * are read twice, because a snapshot may describe a DBI after its entries. A corrupt snapshot is printed as far as it
 * can be read, and then the stream fails.
 */
import { Clock, Effect, Schema, Stream } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { OutlineReader, SnapshotPrinter } from "../../domain/snapshot/SnapshotPrinter.ts"
import { Compression, CompressionError } from "../../services/Compression.ts"
import type { Bytes } from "../../domain/bytes/Bytes.ts"

export class SnapshotUnreadable extends Schema.TaggedError<SnapshotUnreadable>()("SnapshotUnreadable", {
  name: Schema.String,
  /** The problem, with its offset in bytes. */
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.name}: ${this.problem}`
  }
}

export class NoSuchDbi extends Schema.TaggedError<NoSuchDbi>()("NoSuchDbi", {
  name: Schema.String,
  dbi: Schema.String,
  present: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const others = this.present.length === 0 ? "no DBIs" : [...new Set(this.present)].join(", ")
    return `${this.name}: there is no DBI ${JSON.stringify(this.dbi)}: it has ${others}`
  }
}

export interface SnapshotsDumpOptions {
  /** Name of the object or file, which messages contain, and whose extension tells the compression. */
  readonly name: string
  /** Exact name of a DBI as text, or undefined for all. */
  readonly dbi: string | undefined
  readonly format: "text" | "json"
}

/** Ends the stream at a problem of the container. All other errors are passed on. */
const whole = <E, R>(chunks: Stream.Stream<Bytes, E | CompressionError, R>, each: (chunk: Bytes) => void) =>
  chunks.pipe(
    Stream.runForEach((chunk) => Effect.sync(() => each(chunk))),
    Effect.catchIf(
      (error): error is CompressionError => error instanceof CompressionError,
      () => Effect.void
    )
  )

const outlineOf = Effect.fnUntraced(function* <E, R>(chunks: Stream.Stream<Bytes, E | CompressionError, R>) {
  const reader = new OutlineReader()
  yield* whole(chunks, (chunk) => reader.push(chunk))
  return reader.finish()
})

/** Returns the lines. `compressed` emits the bytes of the object, and is run twice. */
export const lines = <E, R>(options: SnapshotsDumpOptions, compressed: Stream.Stream<Bytes, E, R>) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const compression = yield* Compression
      const { dbi, format, name } = options
      const chunks = (name.endsWith(".zst") ? compression.zstd : compression.gzip).decompress(compressed)
      const outline = yield* outlineOf(chunks)
      const selected = (one: DbiName.DbiName) =>
        dbi === undefined || one === DbiName.fromText(dbi) || DbiName.display(one) === dbi
      const printer = new SnapshotPrinter({ format, outline, now: yield* Clock.currentTimeNanos, selected })
      const printed = chunks.pipe(
        Stream.map((chunk) => printer.push(chunk)),
        Stream.takeUntil(() => printer.failure !== undefined),
        Stream.mapError((error) =>
          error instanceof CompressionError ? new SnapshotUnreadable({ name, problem: error.message }) : error
        )
      )
      const failure = (): Effect.Effect<void, SnapshotUnreadable | NoSuchDbi> => {
        if (printer.failure !== undefined) {
          return new SnapshotUnreadable({ name, problem: `the snapshot is corrupt: ${printer.failure.message}` })
        }
        if (dbi === undefined || outline.heads.some((head) => selected(head.name))) return Effect.void
        return new NoSuchDbi({ name, dbi, present: outline.heads.map((head) => DbiName.display(head.name)) })
      }
      return printed.pipe(
        Stream.concat(Stream.suspend(() => Stream.make(printer.finish()))),
        Stream.filter((text) => text !== ""),
        Stream.concat(Stream.drain(Stream.fromEffect(Effect.suspend(failure))))
      )
    })
  )
