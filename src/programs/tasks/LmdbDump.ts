/**
 * `dump`: prints the content of an LMDB as text or as JSON lines, in a stream that is never in memory as a whole. It is
 * read in one read transaction, so a slow reader prevents LMDB from reusing the pages that are freed in the meantime.
 */
import { Clock, Effect, Stream } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { readable } from "../../domain/snapshot/ReadableBytes.ts"
import { type Cursor, type Dbi, Lmdb } from "../../services/Lmdb.ts"
import type { Dump } from "../../services/LmdbTask.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import { attempt } from "../engine/Engine.ts"

/** Number of entries that are formatted as one piece of text, which takes some milliseconds. */
const entriesAtOnce = 1_000

const bytesOf = (bytes: Uint8Array, start: number, end: number): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)

const textLine = ({ key, keyEnd, keyStart, value, valueEnd, valueStart }: Cursor, now: bigint): string =>
  `${readable(bytesOf(key, keyStart, keyEnd), now)}  =  ${readable(bytesOf(value, valueStart, valueEnd), now)}\n`

const jsonLine = ({ key, keyEnd, keyStart, value, valueEnd, valueStart }: Cursor, hasHeaders: boolean): string => {
  const keyText = bytesOf(key, keyStart, keyEnd).toString("hex")
  const start = hasHeaders ? NativeHeader.readHeader(value, valueStart, valueEnd) : -1
  if (start < 0) return `{"key":"${keyText}","value":"${bytesOf(value, valueStart, valueEnd).toString("hex")}"}\n`
  const header = bytesOf(value, valueStart, valueEnd)
  return (
    `{"key":"${keyText}","value":"${bytesOf(value, start, valueEnd).toString("hex")}",` +
    `"timestampNano":"${header.readBigUInt64BE()}","flags":${NativeHeader.flags(value, valueStart)},` +
    `"txnID":"${header.readBigUInt64BE(8)}"}\n`
  )
}

const headOf = ({ format, target: { database } }: Dump, { flags, name }: Dbi): string => {
  if (format === "text") return `\n### ${database} :: ${DbiName.display(name)}\n\n`
  const text = DbiName.toText(name)
  const named = text === undefined ? { dbiHex: Buffer.from(DbiName.toBytes(name)).toString("hex") } : { dbi: text }
  return `${JSON.stringify({ database, ...named, flags, transform: "" })}\n`
}

const entriesOf = ({ format, target }: Dump, dbi: Dbi, cursor: Cursor, now: bigint, meter: Meter) => {
  const hasHeaders = ShadowName.isShadow(dbi.name) || (target.isNative && !DbiName.isPrivate(dbi.name))
  return Stream.unfold(undefined, () =>
    attempt(() => {
      let lines = ""
      let count = 0
      while (count < entriesAtOnce && cursor.next()) {
        lines += format === "text" ? textLine(cursor, now) : jsonLine(cursor, hasHeaders)
        count++
      }
      meter.add(count)
      return count === 0 ? undefined : ([lines, undefined] as const)
    })
  )
}

const lines = (task: Dump) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const transaction = yield* (yield* Lmdb).read
      const now = yield* Clock.currentTimeNanos
      const shown = transaction.dbis.filter(({ name }) => !(task.hidesPrivate && DbiName.isPrivate(name)))
      const total = shown.reduce((sum, { entries }) => sum + entries, 0)
      const { measure } = yield* Progress
      const meter = yield* measure({ label: `Dumping ${task.target.database}`, unit: "entries", total })
      return Stream.flatMap(Stream.fromIterable(shown), (dbi) =>
        Stream.unwrap(
          Effect.map(
            Effect.acquireRelease(
              attempt(() => transaction.cursor(dbi.name)),
              (cursor) => Effect.sync(() => cursor.close())
            ),
            (cursor) => Stream.concat(Stream.make(headOf(task, dbi)), entriesOf(task, dbi, cursor, now, meter))
          )
        )
      )
    })
  )

export const run = (task: Dump, print: (text: string) => Effect.Effect<void>) =>
  Effect.as(Stream.runForEach(lines(task), print), "")
