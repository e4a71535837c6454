/** Finds the newest timestamp in an environment, tombstones included, which shows how old the data are. */
import { Effect } from "effect"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import { Lmdb } from "../../services/Lmdb.ts"
import { attempt } from "./Engine.ts"
import { walkHeaders } from "./HeaderWalk.ts"
import { syncedDbis } from "./SyncedDbis.ts"
import type { EngineDatabase } from "./EngineDatabase.ts"

/** Returns nanoseconds since the UNIX epoch, or 0 if there are no entries. */
export const newest = Effect.fn("Newest.newest")(function* ({ mode }: Pick<EngineDatabase, "mode">) {
  const transaction = yield* (yield* Lmdb).read
  const dbis = yield* attempt(() => syncedDbis(transaction.dbis, mode.check))
  let high = 0
  let low = 0
  const visit = (value: Uint8Array, start: number) => {
    const entryHigh = NativeHeader.timestampHigh(value, start)
    if (entryHigh < high) return
    const entryLow = NativeHeader.timestampLow(value, start)
    if (entryHigh > high || entryLow > low) {
      high = entryHigh
      low = entryLow
    }
  }
  for (const { name } of dbis) {
    const headers = mode.headersOf(name)
    if (transaction.dbis.some((dbi) => dbi.name === headers)) yield* walkHeaders(transaction, headers, visit)
  }
  return (BigInt(high) << 32n) | BigInt(low)
}, Effect.scoped)
