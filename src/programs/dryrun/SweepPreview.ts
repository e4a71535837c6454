/** Counts what a sweep would remove now: tombstones of the LMDB that are older than the retention. */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import { walkHeaders } from "../engine/HeaderWalk.ts"

/** Returns the counts. `olderThanNano` is in nanoseconds since the UNIX epoch, and not negative. */
export const oldTombstones = Effect.fnUntraced(function* (
  view: ReadTransaction,
  isNative: boolean,
  olderThanNano: bigint
) {
  const high = Number(olderThanNano >> 32n)
  const low = Number(olderThanNano & 0xffffffffn)
  let entries = 0
  let old = 0
  const visit = (value: Uint8Array, start: number) => {
    entries++
    if (!NativeHeader.isDeleted(value, start)) return
    const entryHigh = NativeHeader.timestampHigh(value, start)
    if (entryHigh < high || (entryHigh === high && NativeHeader.timestampLow(value, start) < low)) old++
  }
  const hasHeaders = isNative ? (name: DbiName.DbiName) => !DbiName.isPrivate(name) : ShadowName.isShadow
  for (const { name } of view.dbis) if (hasHeaders(name)) yield* walkHeaders(view, name, visit)
  return { entries, old }
})
