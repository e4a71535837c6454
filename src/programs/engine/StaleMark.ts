/**
 * Marks an LMDB as stale (docs/sync.md, Long absence) with a DBI of our own. The mark is set before the first merge,
 * because merged entries are recent and would hide the fact. It contains the newest time of the entries at that moment,
 * so that a later start can decide again if our clock was wrong.
 */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { Lmdb, type ReadTransaction, type WriteTransaction } from "../../services/Lmdb.ts"
import { attempt } from "./Engine.ts"
import type { EngineDatabase } from "./EngineDatabase.ts"

const mark = DbiName.fromText("_sync_stale")

/** The key of the only entry. Its value is the time in nanoseconds, in 8 bytes, big-endian. */
const newestKey = Buffer.from("newest")

const newestOf = (transaction: ReadTransaction): bigint => {
  const cursor = transaction.cursor(mark)
  const isThere = cursor.next() && cursor.valueEnd - cursor.valueStart === 8
  const { value, valueStart } = cursor
  const newest = isThere ? new DataView(value.buffer, value.byteOffset + valueStart, 8).getBigUint64(0) : 0n
  cursor.close()
  return newest
}

/** Returns the time of the mark in nanoseconds, 0 if an earlier version has set it without a time, or undefined. */
export const read = Effect.scoped(
  Effect.gen(function* () {
    const transaction = yield* (yield* Lmdb).read
    if (!transaction.dbis.some(({ name }) => name === mark)) return undefined
    return yield* attempt(() => newestOf(transaction))
  })
)

const change = (transaction: WriteTransaction, newest: bigint | undefined): void => {
  if (transaction.dbis().some(({ name }) => name === mark) === (newest !== undefined)) return
  if (newest === undefined) return transaction.drop(mark)
  transaction.create(mark, 0)
  const value = Buffer.alloc(8)
  value.writeBigUInt64BE(newest)
  transaction.put(mark, newestKey, 0, newestKey.length, value, 0, value.length, false)
}

/** Sets the mark unless there is one, or removes it if `newest` is undefined. */
export const set = Effect.fn("StaleMark.set")(function* ({ tracker }: EngineDatabase, newest: bigint | undefined) {
  if (((yield* read) !== undefined) === (newest !== undefined)) return
  const lmdb = yield* Lmdb
  yield* Effect.acquireUseRelease(
    Effect.sync(() => tracker.beginWrite()),
    () => lmdb.write((transaction) => attempt(() => change(transaction, newest))),
    (_, exit) =>
      Effect.sync(() => tracker.endWrite(exit._tag === "Success" && exit.value.wrote ? exit.value.id : undefined))
  )
})
