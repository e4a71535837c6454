/** Lists the bucket for one database every `storage_poll_interval`. An outage never ends the daemon. */
import { Clock, Effect } from "effect"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import { Health } from "../../services/Health.ts"
import { Settings } from "../../services/Settings.ts"
import { Storage } from "../../services/Storage.ts"
import { learnInTurns } from "./ListedSnapshots.ts"
import * as Outage from "./Outage.ts"
import * as MissingObjects from "./receive/MissingObjects.ts"
import * as ReceiveMeter from "./facts/ReceiveMeter.ts"
import type { SyncState } from "./SyncState.ts"

/** Nanoseconds that the name of a snapshot may be ahead of our clock without a warning. */
const tolerated = 10_000_000_000n

/** Warns once per instance. */
const warnOfFuture = Effect.fnUntraced(function* (state: SyncState, warned: Set<string>) {
  const now = yield* Clock.currentTimeNanos
  for (const instance of state.index.instances) {
    const next = state.index.next(instance)
    if (next === undefined || next.name.timestampNano - now <= tolerated || warned.has(instance)) continue
    warned.add(instance)
    yield* Effect.logWarning(
      "A snapshot is ahead of our clock: its entries win until then, check the clocks of both machines",
      {
        snapshot_instance: instance,
        snapshot_name: next.name.text,
        ahead_seconds: Number((next.name.timestampNano - now) / 1_000_000_000n)
      }
    )
  }
})

/** Reports a snapshot under our own name whose time no later snapshot of ours can exceed. */
const reportUnsurpassable = Effect.fnUntraced(function* ({ index, options }: SyncState) {
  const health = yield* Health
  const check = `${options.database}_own_name`
  const snapshot = index.unsurpassable
  if (snapshot === undefined) return void (yield* health.well(check))
  const problem =
    `the snapshot ${snapshot.name.text} is under our name and from after 2553, so no snapshot of ours can be newer: ` +
    "the other instances take it for our newest snapshot and do not see what this instance sends. Remove it from the bucket"
  if (yield* health.failing(check, problem)) yield* Effect.logError(problem)
})

/** Runs forever. The first listing is retried every second until it works. */
export const run = Effect.fn("List.run")(
  function* (state: SyncState) {
    const storage = yield* Storage
    const settings = yield* Settings
    const outage = yield* Outage.make(`${state.options.database}_storage_list`, "list snapshots")
    const warned = new Set<string>()
    const gaps = new Set<string>()
    for (;;) {
      yield* ReceiveMeter.listing
      const listed = yield* storage.list(listingPrefix(state.options.database)).pipe(
        Effect.tap((objects) => learnInTurns(state.index.names, objects)),
        Effect.tap((objects) => {
          state.index.update(objects)
          return ReceiveMeter.listed(state, objects)
        }),
        Effect.as(true),
        Effect.tapError(() => ReceiveMeter.listFailed(state)),
        // An operator has to act on a refusal, so it is logged as an error, with what to check.
        Effect.catchTag("StorageError", (error) =>
          Effect.as(outage.failed(error.message, error.reason._tag === "Refused" ? "error" : "warning"), false)
        )
      )
      if (listed) {
        yield* outage.over
        yield* warnOfFuture(state, warned)
        yield* reportUnsurpassable(state)
        yield* MissingObjects.report(state, gaps)
        yield* state.notify
      }
      yield* Effect.sleep(state.index.listed ? settings.storage_poll_interval : "1 second")
    }
  },
  Effect.annotateLogs({ component: "receiver" })
)
