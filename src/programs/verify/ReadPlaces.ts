/**
 * Reads the places to compare: the newest states of the instances from the spool, each of which is checked to its end,
 * and the local LMDB in a read transaction.
 */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import { Lmdb, type ReadTransaction, withoutCreating } from "../../services/Lmdb.ts"
import { Progress } from "../../services/Progress.ts"
import { Spool } from "../../services/Spool.ts"
import type { SpooledState, Unusable, UnusableObject, Verify } from "../../services/LmdbTask.ts"
import { attempt, type EngineError } from "../engine/Engine.ts"
import * as Mode from "../engine/merge/Mode.ts"
import { syncedDbis } from "../engine/SyncedDbis.ts"
import type { OpenLmdb } from "../tasks/OpenLmdb.ts"
import * as CheckedSnapshot from "./CheckedSnapshot.ts"
import { metered } from "./MeteredSpool.ts"
import type { ComparedPlace } from "./PlaceComparison.ts"
import type { PlaceReport } from "./VerifyReport.ts"

export interface LocalLmdb {
  readonly view: ReadTransaction
  readonly lmdb: Lmdb["Service"]
}

/** Opens the local LMDB. Fails if it cannot be used. */
const openLocal = Effect.fnUntraced(function* (
  { options }: Pick<Verify, "options">,
  mode: Mode.Mode,
  open: OpenLmdb
): Effect.fn.Return<LocalLmdb, EngineError, Scope.Scope> {
  const context = yield* Layer.build(Layer.fresh(open(withoutCreating(options.lmdb))))
  const lmdb = Context.get(context, Lmdb)
  const view = yield* lmdb.read
  yield* attempt(() => syncedDbis(view.dbis, mode.check))
  return { view, lmdb }
})

const isCreatedByDaemon = (error: EngineError): boolean =>
  error._tag === "LmdbError" && error.reason._tag === "Missing" && error.reason.isCreatedByDaemon === true

/** Checks a state. Returns the place, or the first unusable object of the state. Other errors are failures. */
const checkState = Effect.fnUntraced(function* (
  mode: Mode.Mode,
  view: ReadTransaction | undefined,
  { instance, objects }: SpooledState
) {
  const states = objects.map(({ object }) => ({ object, name: SnapshotName.parse(object.name)! }))
  const snapshots: Array<CheckedSnapshot.CheckedSnapshot> = []
  for (const [index, { spooled }] of objects.entries()) {
    const { format, text: name } = states[index]!.name
    const unusable = (problem: string, isRefused: boolean): Effect.Effect<UnusableObject> =>
      Effect.succeed({ name, problem, isRefused })
    const checked = yield* CheckedSnapshot.check(mode, view, format, spooled).pipe(
      Effect.catchTags({
        CorruptSnapshot: ({ message }) => unusable(message, false),
        CompressionError: ({ message }) => unusable(`the snapshot is corrupt: ${message}`, false),
        RefusedSnapshot: ({ message }) => unusable(message, true)
      })
    )
    if ("problem" in checked) return checked
    snapshots.push(checked)
  }
  const { timestampNano } = states.at(-1)!.name
  const report: PlaceReport = { instance, objects: states.map(({ name }) => name.text), timestampNano }
  const place: ComparedPlace = { report, snapshots, states, headers: undefined }
  return place
})

/** Checks all states, and shows the progress until then. */
const checkStates = Effect.fnUntraced(function* (
  mode: Mode.Mode,
  view: ReadTransaction | undefined,
  { options, states }: Pick<Verify, "options" | "states">
) {
  const { measure } = yield* Progress
  const total = states.flatMap(({ objects }) => objects).reduce((sum, { spooled }) => sum + spooled.size, 0)
  const meter = yield* measure({ label: `Checking snapshots of ${options.name}`, unit: "bytes", total })
  const spool = metered(yield* Spool, meter)
  return yield* Effect.forEach(states, (state) => checkState(mode, view, state)).pipe(
    Effect.provideService(Spool, spool)
  )
}, Effect.scoped)

const isPlace = (one: ComparedPlace | UnusableObject): one is ComparedPlace => "report" in one
const isObject = (one: ComparedPlace | UnusableObject): one is UnusableObject => !isPlace(one)

const reportOf = ({ isRefused, name, problem }: UnusableObject): PlaceReport => {
  const { instance, timestampNano } = SnapshotName.parse(name)!
  return { instance, objects: [name], timestampNano, problem, ...(isRefused ? { isRefused } : {}) }
}

export interface ReadPlaces {
  readonly _tag: "Places"
  /** The places: instances by name, then the LMDB. */
  readonly places: ReadonlyArray<ComparedPlace>
  /** Reports in the same order. An unusable object comes before the state that is used instead. */
  readonly reports: ReadonlyArray<PlaceReport>
  /** The local LMDB, or undefined if it could not be opened. */
  readonly local: LocalLmdb | undefined
  readonly mode: Mode.Mode
  /** Time after the read transaction began, in nanoseconds since the UNIX epoch. */
  readonly now: bigint
}

/** Reads all places, which are available as long as the scope is open. */
export const readPlaces = Effect.fn("ReadPlaces.readPlaces")(function* (
  task: Pick<Verify, "options" | "states" | "unusable">,
  open: OpenLmdb
) {
  const mode = Mode.of(task.options)
  const opened = yield* openLocal(task, mode, open).pipe(
    Effect.catch((error) =>
      Effect.succeed({
        problem: error.message,
        ...(isCreatedByDaemon(error) ? { isCreatedByDaemon: true as const } : {})
      })
    )
  )
  const now = yield* Clock.currentTimeNanos
  const local = "view" in opened ? opened : undefined
  const found = yield* checkStates(mode, local?.view, task)
  const unusable: Unusable = { _tag: "Unusable", objects: found.filter(isObject) }
  if (unusable.objects.length > 0) return unusable
  const own: PlaceReport =
    "view" in opened
      ? { instance: undefined, objects: [opened.lmdb.path], timestampNano: now }
      : { instance: undefined, objects: [task.options.lmdb.path], timestampNano: now, ...opened }
  const headers = local === undefined ? undefined : { view: local.view, nameOf: mode.headersOf }
  const ofInstances = found.filter(isPlace)
  const places: ReadonlyArray<ComparedPlace> = [
    ...ofInstances,
    ...(headers === undefined ? [] : [{ report: own, snapshots: [], states: [], headers }])
  ]
  const reports = [...task.unusable.map(reportOf), ...ofInstances.map(({ report }) => report)]
  const byInstance = reports.toSorted((a, b) => (a.instance! < b.instance! ? -1 : a.instance! > b.instance! ? 1 : 0))
  const read: ReadPlaces = { _tag: "Places", places, reports: [...byInstance, own], local, mode, now }
  return read
})
