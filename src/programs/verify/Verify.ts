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
import { Clock, Context, Duration, Effect, Layer, type Scope } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import type { DatabaseOptions, SnapshotFormat } from "../../services/Database.ts"
import { Lmdb, type LmdbError, type LmdbOptions, type ReadTransaction } from "../../services/Lmdb.ts"
import { Progress } from "../../services/Progress.ts"
import { Settings } from "../../services/Settings.ts"
import type { Spooled } from "../../services/Spool.ts"
import { Storage } from "../../services/Storage.ts"
import { databaseOptions } from "../DatabaseOptions.ts"
import { attempt, type EngineError } from "../engine/Engine.ts"
import * as Mode from "../engine/merge/Mode.ts"
import { syncedDbis } from "../engine/SyncedDbis.ts"
import { type InstanceState, newestStates } from "../snapshots/StateObjects.ts"
import * as TombstoneRetention from "../sync/TombstoneRetention.ts"
import * as CheckedSnapshot from "./CheckedSnapshot.ts"
import { compareAll, type ComparedPlace, type PairOfPlaces } from "./PlaceComparison.ts"
import type { DatabaseReport, PlaceReport } from "./VerifyReport.ts"

export interface VerifyOptions {
  readonly database: string
  readonly grace: Duration.Duration
  readonly open: (options: LmdbOptions) => Layer.Layer<Lmdb, LmdbError>
}

interface Downloaded {
  readonly format: SnapshotFormat
  readonly spooled: Spooled
}

interface DownloadedState {
  readonly state: InstanceState
  readonly objects: ReadonlyArray<Downloaded>
}

/** A cleaner may delete between listing and load: then there is a newer one to be listed. */
const listingsMax = 3

/** All that is in the bucket, in the spool of the scope. */
const downloadAll = Effect.fnUntraced(function* (database: string) {
  const storage = yield* Storage
  const { measure } = yield* Progress
  const states = newestStates(database, yield* storage.list(listingPrefix(database)))
  const total = states.flatMap(({ objects }) => objects).reduce((sum, { object }) => sum + object.size, 0)
  const meter = yield* measure({ label: `Downloading snapshots of ${database}`, unit: "bytes", total })
  return yield* Effect.forEach(
    states,
    Effect.fnUntraced(function* (state) {
      const objects = yield* Effect.forEach(state.objects, (snapshot) =>
        Effect.map(CheckedSnapshot.download(snapshot, meter), (spooled): Downloaded => ({
          format: snapshot.name.format,
          spooled
        }))
      )
      return { state, objects } satisfies DownloadedState
    })
  )
})

/** Fails if the LMDB cannot be used. */
const openLocal = Effect.fnUntraced(function* (
  { lmdb }: DatabaseOptions,
  mode: Mode.Mode,
  open: VerifyOptions["open"]
): Effect.fn.Return<{ readonly view: ReadTransaction; readonly path: string }, EngineError, Scope.Scope> {
  const context = yield* Layer.build(Layer.fresh(open({ ...lmdb, create: false })))
  const { path, read } = Context.get(context, Lmdb)
  const view = yield* read
  yield* attempt(() => syncedDbis(view.dbis, mode.check))
  return { view, path }
})

/** Problems of the snapshot itself are part of the report; everything else fails. */
const checkState = Effect.fnUntraced(function* (
  mode: Mode.Mode,
  view: ReadTransaction | undefined,
  { objects, state }: DownloadedState
) {
  const { instance, timestampNano } = state
  const report = { instance, objects: state.objects.map(({ name }) => name.text), timestampNano }
  return yield* Effect.forEach(objects, ({ format, spooled }) =>
    CheckedSnapshot.check(mode, view, format, spooled)
  ).pipe(
    Effect.map((snapshots): ComparedPlace => ({ report, snapshots, headers: undefined })),
    Effect.catchTags({
      CorruptSnapshot: ({ message }) => Effect.succeed<PlaceReport>({ ...report, problem: message }),
      CompressionError: ({ message }) =>
        Effect.succeed<PlaceReport>({ ...report, problem: `the snapshot is corrupt: ${message}` }),
      RefusedSnapshot: ({ message }) => Effect.succeed<PlaceReport>({ ...report, problem: message })
    })
  )
})

const isPlace = (one: ComparedPlace | PlaceReport): one is ComparedPlace => "report" in one

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
  const options = databaseOptions(yield* Settings, database)
  const mode = Mode.of(options)
  const cutOffNano = (yield* TombstoneRetention.cutOff) ?? 0n
  const states = yield* Effect.retry(downloadAll(database), {
    times: listingsMax - 1,
    while: (error) => error._tag === "StorageError" && error.reason._tag === "ObjectNotFound"
  })
  const local = yield* openLocal(options, mode, open).pipe(
    Effect.catch((error) => Effect.succeed({ problem: error.message }))
  )
  const now = yield* Clock.currentTimeNanos
  const view = "view" in local ? local.view : undefined
  const found = yield* Effect.forEach(states, (state) => checkState(mode, view, state))
  const own: PlaceReport =
    "view" in local
      ? { instance: undefined, objects: [local.path], timestampNano: now }
      : { instance: undefined, objects: [options.lmdb.path], timestampNano: now, problem: local.problem }
  const places: ReadonlyArray<ComparedPlace> = [
    ...found.filter(isPlace),
    ...(view === undefined ? [] : [{ report: own, snapshots: [], headers: { view, nameOf: mode.headersOf } }])
  ]
  const pairs = pairsOf(places, Duration.toNanosUnsafe(grace))
  const { measure } = yield* Progress
  const meter = yield* measure({ label: `Comparing ${database}`, unit: "entries" })
  return {
    database,
    places: [...found.map((one) => (isPlace(one) ? one.report : one)), own],
    ...(yield* compareAll(places, pairs, cutOffNano, DbiName.isPrivate, meter))
  } satisfies DatabaseReport
}, Effect.scoped)
