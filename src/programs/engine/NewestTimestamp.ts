/** Finds the newest timestamp in an environment, tombstones included: it tells how old the data are. */
import { Effect } from "effect"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import { Lmdb } from "../../services/Lmdb.ts"
import { attempt, inSlices, stepsPerLook } from "./Engine.ts"
import { notNative } from "./NotNative.ts"
import { syncedDbis } from "./SyncedDbis.ts"
import type { EngineDatabase } from "./EngineDatabase.ts"

/** Returns nanoseconds since the UNIX epoch, 0 if there are no entries. */
export const newest = Effect.fn("Newest.newest")(function* ({ mode }: Pick<EngineDatabase, "mode">) {
  const transaction = yield* (yield* Lmdb).read
  const dbis = yield* attempt(() => syncedDbis(transaction.dbis, mode.check))
  let high = 0
  let low = 0
  for (const { name } of dbis) {
    const headers = mode.headersOf(name)
    if (!transaction.dbis.some((dbi) => dbi.name === headers)) continue
    const cursor = yield* Effect.acquireRelease(
      attempt(() => transaction.cursor(headers)),
      (cursor) => Effect.sync(() => cursor.close())
    )
    yield* inSlices((deadline) => {
      for (;;) {
        for (let step = 0; step < stepsPerLook; step++) {
          if (!cursor.next()) return true
          const { value, valueEnd, valueStart } = cursor
          const code = NativeHeader.readHeader(value, valueStart, valueEnd)
          if (code < 0) throw notNative(headers, cursor, code)
          const entryHigh = NativeHeader.timestampHigh(value, valueStart)
          if (entryHigh < high) continue
          const entryLow = NativeHeader.timestampLow(value, valueStart)
          if (entryHigh > high || entryLow > low) {
            high = entryHigh
            low = entryLow
          }
        }
        if (performance.now() >= deadline) return false
      }
    })
  }
  return (BigInt(high) << 32n) | BigInt(low)
}, Effect.scoped)
