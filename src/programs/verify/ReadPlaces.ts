/**
 * Reads what there is to be compared: the newest state of each instance into the spool, each checked to its end, and
 * the LMDB here in a read transaction. The bucket is not used while that is open.
 */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import type { DatabaseOptions, SnapshotFormat } from "../../services/Database.ts"
import { Lmdb, type LmdbError, type LmdbOptions, type ReadTransaction } from "../../services/Lmdb.ts"
import { Progress } from "../../services/Progress.ts"
import type { Spooled } from "../../services/Spool.ts"
import { Storage, type StoredObject } from "../../services/Storage.ts"
import { attempt, type EngineError } from "../engine/Engine.ts"
import * as Mode from "../engine/merge/Mode.ts"
import { syncedDbis } from "../engine/SyncedDbis.ts"
import { type InstanceState, newestStates } from "../snapshots/StateObjects.ts"
import * as CheckedSnapshot from "./CheckedSnapshot.ts"
import type { ComparedPlace } from "./PlaceComparison.ts"
import type { PlaceReport } from "./VerifyReport.ts"

export type OpenLmdbOf = (options: LmdbOptions) => Layer.Layer<Lmdb, LmdbError>

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
  const listed = yield* storage.list(listingPrefix(database))
  const states = newestStates(database, listed)
  const total = states.flatMap(({ objects }) => objects).reduce((sum, { object }) => sum + object.size, 0)
  const meter = yield* measure({ label: `Downloading snapshots of ${database}`, unit: "bytes", total })
  const downloaded = yield* Effect.forEach(
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
  return { listed, downloaded }
})

interface LocalLmdb {
  readonly view: ReadTransaction
  readonly lmdb: Lmdb["Service"]
}

/** Fails if the LMDB cannot be used. */
const openLocal = Effect.fnUntraced(function* (
  options: DatabaseOptions,
  mode: Mode.Mode,
  open: OpenLmdbOf
): Effect.fn.Return<LocalLmdb, EngineError, Scope.Scope> {
  const context = yield* Layer.build(Layer.fresh(open({ ...options.lmdb, create: false })))
  const lmdb = Context.get(context, Lmdb)
  const view = yield* lmdb.read
  yield* attempt(() => syncedDbis(view.dbis, mode.check))
  return { view, lmdb }
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
    Effect.map((snapshots): ComparedPlace => ({ report, snapshots, states: state.objects, headers: undefined })),
    Effect.catchTags({
      CorruptSnapshot: ({ message }) => Effect.succeed<PlaceReport>({ ...report, problem: message }),
      CompressionError: ({ message }) =>
        Effect.succeed<PlaceReport>({ ...report, problem: `the snapshot is corrupt: ${message}` }),
      RefusedSnapshot: ({ message }) => Effect.succeed<PlaceReport>({ ...report, problem: message, isRefused: true })
    })
  )
})

const isPlace = (one: ComparedPlace | PlaceReport): one is ComparedPlace => "report" in one

export interface ReadPlaces {
  /** The objects with the database's prefix. */
  readonly listed: ReadonlyArray<StoredObject>
  /** What could be read: instances by name, then the LMDB. */
  readonly places: ReadonlyArray<ComparedPlace>
  /** All, in the same order. */
  readonly reports: ReadonlyArray<PlaceReport>
  /** Undefined if it could not be opened. */
  readonly local: LocalLmdb | undefined
  readonly mode: Mode.Mode
  /** Nanoseconds since the UNIX epoch, after the read transaction began. */
  readonly now: bigint
}

/** All is there for as long as the scope is open. */
export const readPlaces = Effect.fn("ReadPlaces.readPlaces")(function* (options: DatabaseOptions, open: OpenLmdbOf) {
  const mode = Mode.of(options)
  const { downloaded, listed } = yield* Effect.retry(downloadAll(options.name), {
    times: listingsMax - 1,
    while: (error) => error._tag === "StorageError" && error.reason._tag === "ObjectNotFound"
  })
  const opened = yield* openLocal(options, mode, open).pipe(
    Effect.catch((error) => Effect.succeed({ problem: error.message }))
  )
  const now = yield* Clock.currentTimeNanos
  const local = "view" in opened ? opened : undefined
  const found = yield* Effect.forEach(downloaded, (state) => checkState(mode, local?.view, state))
  const own: PlaceReport =
    "view" in opened
      ? { instance: undefined, objects: [opened.lmdb.path], timestampNano: now }
      : { instance: undefined, objects: [options.lmdb.path], timestampNano: now, problem: opened.problem }
  const headers = local === undefined ? undefined : { view: local.view, nameOf: mode.headersOf }
  const places = [
    ...found.filter(isPlace),
    ...(headers === undefined ? [] : [{ report: own, snapshots: [], states: [], headers }])
  ]
  const reports = [...found.map((one) => (isPlace(one) ? one.report : one)), own]
  return { listed, places, reports, local, mode, now } satisfies ReadPlaces
})
