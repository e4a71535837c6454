/**
 * The mark of an LMDB that is stale (docs/sync.md, Long absence): an empty DBI of our own. It is made before the first
 * merge, after which nothing else would tell: what was merged is young.
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

/** Makes the mark, or takes it away. */
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
