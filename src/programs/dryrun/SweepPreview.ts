/** What a sweep would remove now: tombstones of the LMDB that are older than the retention. */
import { Clock, Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import type { Cursor, ReadTransaction } from "../../services/Lmdb.ts"
import { Settings } from "../../services/Settings.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import { notNative } from "../engine/NotNative.ts"
import { retentionNanos } from "../sync/TombstoneRetention.ts"

interface Counts {
  entries: number
  old: number
}

const count = (dbi: DbiName.DbiName, cursor: Cursor, olderThanNano: bigint, counts: Counts) => {
  const high = Number(olderThanNano >> 32n)
  const low = Number(olderThanNano & 0xffffffffn)
  return inSlices((deadline) => {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        if (!cursor.next()) return true
        const { value, valueEnd, valueStart } = cursor
        const code = NativeHeader.readHeader(value, valueStart, valueEnd)
        if (code < 0) throw notNative(dbi, cursor, code)
        counts.entries++
        if (!NativeHeader.isDeleted(value, valueStart)) continue
        const entryHigh = NativeHeader.timestampHigh(value, valueStart)
        if (entryHigh < high || (entryHigh === high && NativeHeader.timestampLow(value, valueStart) < low)) counts.old++
      }
      if (performance.now() >= deadline) return false
    }
  })
}

/** Undefined if the sweeper is off. */
export const oldTombstones = Effect.fnUntraced(function* (view: ReadTransaction, isNative: boolean) {
  const settings = yield* Settings
  if (!settings.sweeper.enabled) return undefined
  const olderThan = (yield* Clock.currentTimeNanos) - retentionNanos(settings)
  const counts: Counts = { entries: 0, old: 0 }
  const hasHeaders = isNative ? (name: DbiName.DbiName) => !DbiName.isPrivate(name) : ShadowName.isShadow
  for (const { name } of view.dbis.filter((dbi) => hasHeaders(dbi.name))) {
    yield* Effect.acquireUseRelease(
      attempt(() => view.cursor(name)),
      (cursor) => count(name, cursor, olderThan > 0n ? olderThan : 0n, counts),
      (cursor) => Effect.sync(() => cursor.close())
    )
  }
  return counts
})
