/**
 * `verify`: compares the newest states of all instances in the bucket and the local LMDB. It changes nothing.
 *
 * A state must have every entry of each state that is older by at least the grace time, or a version that wins over it.
 * Two states that are closer in time may differ. The LMDB is newer than everything in the bucket, so it is only checked
 * for the entries of others. Source: docs/sync.md.
 *
 * Memory does not grow with the number of entries: snapshots are spooled, and all places are walked side by side. The
 * bucket is not used while the LMDB's read transaction is open.
 */
import { Duration, Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { Unusable, Verify } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import { Settings } from "../../services/Settings.ts"
import { databaseOptions } from "../DatabaseOptions.ts"
import * as TombstoneRetention from "../sync/TombstoneRetention.ts"
import type { OpenLmdb } from "../tasks/OpenLmdb.ts"
import { compareAll, entriesOf, type ComparedPlace, type PairOfPlaces } from "./PlaceComparison.ts"
import { readPlaces } from "./ReadPlaces.ts"
import * as SpooledStates from "./SpooledStates.ts"
import type { DatabaseReport } from "./VerifyReport.ts"

export interface VerifyOptions {
  readonly database: string
  readonly grace: Duration.Duration
  readonly json: boolean
}

/** Returns the pairs of places of which one should have everything that the other has. */
const pairsOf = (places: ReadonlyArray<ComparedPlace>, grace: bigint): ReadonlyArray<PairOfPlaces> =>
  places.flatMap(({ report: theirs }, from) =>
    theirs.instance === undefined
      ? []
      : places.flatMap(({ report: ours }, to) =>
          from === to ? [] : [{ from, to, comparable: ours.timestampNano >= theirs.timestampNano + grace }]
        )
  )

/** Compares in the calling thread. It reads the LMDB while the scope is open. */
export const compare = Effect.fn("Verify.compare")(function* (task: Verify, open: OpenLmdb) {
  const read = yield* readPlaces(task, open)
  if (read._tag === "Unusable") return read
  const { cutOffNano, graceNano, options } = task
  const pairs = pairsOf(read.places, graceNano)
  const { measure } = yield* Progress
  const meter = yield* measure({ label: `Comparing ${options.name}`, unit: "entries", total: entriesOf(read.places) })
  return {
    database: options.name,
    places: read.reports,
    ...(yield* compareAll(read.places, pairs, cutOffNano, DbiName.isPrivate, meter))
  } satisfies DatabaseReport
}, Effect.scoped)

/** Runs the verification. `compareThere` runs the task, in whichever thread. */
export const verify = Effect.fn("Verify.verify")(function* <A, E, R>(
  { database, grace, json }: VerifyOptions,
  compareThere: (task: Verify) => Effect.Effect<A | Unusable, E, R>
) {
  const options = databaseOptions(yield* Settings, database)
  const cutOffNano = (yield* TombstoneRetention.cutOff) ?? 0n
  const graceNano = Duration.toNanosUnsafe(grace)
  return yield* SpooledStates.forComparison(database, ({ states, unusable }) =>
    compareThere({ _tag: "Verify", options, states, unusable, cutOffNano, graceNano, json })
  )
})
