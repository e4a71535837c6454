/**
 * Marks an LMDB as stale (docs/sync.md, Long absence) with an empty DBI of our own. The mark is made before the first
 * merge, since merged entries are young and would hide the fact.
 */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { Lmdb } from "../../services/Lmdb.ts"
import { attempt } from "./Engine.ts"
import type { EngineDatabase } from "./EngineDatabase.ts"

const mark = DbiName.fromText("_sync_stale")

export const isMarked = Effect.scoped(
  Effect.gen(function* () {
    const transaction = yield* (yield* Lmdb).read
    return transaction.dbis.some(({ name }) => name === mark)
  })
)

/** Makes or removes the mark. */
export const set = Effect.fn("StaleMark.set")(function* ({ tracker }: EngineDatabase, marked: boolean) {
  if ((yield* isMarked) === marked) return
  const lmdb = yield* Lmdb
  yield* Effect.acquireUseRelease(
    Effect.sync(() => tracker.beginWrite()),
    () =>
      lmdb.write((transaction) =>
        attempt(() => {
          if (transaction.dbis().some(({ name }) => name === mark) === marked) return
          if (marked) transaction.create(mark, 0)
          else transaction.drop(mark)
        })
      ),
    (_, exit) =>
      Effect.sync(() => tracker.endWrite(exit._tag === "Success" && exit.value.wrote ? exit.value.id : undefined))
  )
})
