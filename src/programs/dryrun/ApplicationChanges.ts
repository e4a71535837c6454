/**
 * In shadow mode: what the application has changed since the shadow DBIs were last brought up to date, such as while no
 * daemon ran.
 */
import { Effect } from "effect"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import type { Mode } from "../engine/merge/Mode.ts"
import { walkOf } from "../engine/shadow/ShadowCopy.ts"
import { syncedDbis } from "../engine/SyncedDbis.ts"

/** The time of the current copy: its only use here is to be later than any, so that all that differs counts. */
const stamp = { first: false, high: 0xffff_fffe, low: 0 }

export interface ApplicationChanges {
  /** Keys that are new, or have another value. */
  put: number
  /** Keys that are gone. */
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
