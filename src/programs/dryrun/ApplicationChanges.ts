/**
 * Counts, in shadow mode, what the application has changed since the shadow DBIs were last updated, for example while
 * no daemon was running.
 */
import { Effect } from "effect"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import type { Mode } from "../engine/merge/Mode.ts"
import { walkOf } from "../engine/shadow/ShadowDifferences.ts"
import { syncedDbis } from "../engine/SyncedDbis.ts"

/** Time of the copy. It must only be later than any other, so that every difference counts. */
const stamp = { first: false, high: 0xffff_fffe, low: 0 }

export interface ApplicationChanges {
  /** Number of keys that are new or have another value. */
  put: number
  /** Number of keys that were removed. */
  removed: number
}

export const count = Effect.fnUntraced(function* (view: ReadTransaction, mode: Mode) {
  const counts: ApplicationChanges = { put: 0, removed: 0 }
  const changes = {
    change: (...[, , , , , , , , deleted]: Parameters<Parameters<typeof walkOf>[3]["change"]>) => {
      if (deleted) counts.removed++
      else counts.put++
    }
  }
  for (const dbi of yield* attempt(() => syncedDbis(view.dbis, mode.check))) {
    yield* Effect.acquireUseRelease(
      attempt(() => walkOf(view, dbi, stamp, changes).walk),
      (walk) =>
        inSlices((deadline) => {
          do if (walk.run(stepsPerLook)) return true
          while (performance.now() < deadline)
          return false
        }),
      (walk) => Effect.sync(() => walk.close())
    )
  }
  return counts
})
