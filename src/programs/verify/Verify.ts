/**
 * `verify`: holds the newest state of each instance in the bucket, and the LMDB here, against each other. It changes
 * nothing.
 *
 * A state must have every entry of each state that is older than it by the grace time, or a version that wins over it.
 * Two states that are closer in time may differ. The LMDB is newer than all that is in the bucket, so it is only asked
 * for what others have. Source: docs/sync.md.
 *
 * Memory does not grow with the number of entries: snapshots are spooled, and all places are walked side by side. The
 * bucket is not used while the LMDB's read transaction is open.
 */
import { Duration, Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { Progress } from "../../services/Progress.ts"
import { Settings } from "../../services/Settings.ts"
import { databaseOptions } from "../DatabaseOptions.ts"
import * as TombstoneRetention from "../sync/TombstoneRetention.ts"
import { compareAll, type ComparedPlace, type PairOfPlaces } from "./PlaceComparison.ts"
import { type OpenLmdbOf, readPlaces } from "./ReadPlaces.ts"
import type { DatabaseReport } from "./VerifyReport.ts"

export interface VerifyOptions {
  readonly database: string
  readonly grace: Duration.Duration
  readonly open: OpenLmdbOf
}

/** The pairs of places of which the one should have what the other has. */
const pairsOf = (places: ReadonlyArray<ComparedPlace>, grace: bigint): ReadonlyArray<PairOfPlaces> =>
  places.flatMap(({ report: theirs }, from) =>
    theirs.instance === undefined
      ? []
      : places.flatMap(({ report: ours }, to) =>
          from === to ? [] : [{ from, to, comparable: ours.timestampNano >= theirs.timestampNano + grace }]
        )
  )

/** Reads the LMDB while the scope is open. */
export const verify = Effect.fn("Verify.verify")(function* ({ database, grace, open }: VerifyOptions) {
  const cutOffNano = (yield* TombstoneRetention.cutOff) ?? 0n
  const { places, reports } = yield* readPlaces(databaseOptions(yield* Settings, database), open)
  const pairs = pairsOf(places, Duration.toNanosUnsafe(grace))
  const { measure } = yield* Progress
  const meter = yield* measure({ label: `Comparing ${database}`, unit: "entries" })
  return {
    database,
    places: reports,
    ...(yield* compareAll(places, pairs, cutOffNano, DbiName.isPrivate, meter))
  } satisfies DatabaseReport
}, Effect.scoped)
