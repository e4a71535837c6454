/**
 * `restore`: merges the objects that form a state of the bucket into an empty LMDB, as a new server would. Corrupt and
 * refused objects are left out, and the next-newest of their instance are used, unless the object was given by name.
 *
 * Tombstones are kept, whatever their age, so that the order of the merges does not matter and no deletion is undone.
 * The sweeper removes them later.
 */
import { Clock, Duration, Effect, Schedule, Schema } from "effect"
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import type { Database, DatabaseError, DatabaseOptions, MergeResult } from "../../services/Database.ts"
import { Databases } from "../../services/Databases.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import type { StorageError, StoredObject } from "../../services/Storage.ts"
import { millisSince } from "../Elapsed.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import * as CheckedSnapshot from "../verify/CheckedSnapshot.ts"
import { planOf, type RestorePlan, type RestoreQuery } from "./RestorePlan.ts"
import * as SettledListing from "./SettledListing.ts"

/** No object in the bucket matches the query. */
export class NothingToRestore extends Schema.TaggedError<NothingToRestore>()("NothingToRestore", {
  wanted: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `there is no snapshot of ${this.wanted} in the bucket: ${this.found}`
  }
}

/** An object that was given by name cannot be merged. */
export class SnapshotUnusable extends Schema.TaggedError<SnapshotUnusable>()("SnapshotUnusable", {
  name: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.name}: ${this.problem}. To restore an older one, use --at or its name`
  }
}

/** The merged entries do not fit into the map. */
export class MapTooSmall extends Schema.TaggedError<MapTooSmall>()("MapTooSmall", {
  mapSize: Schema.Number,
  needed: Schema.Number
}) {
  override get message(): string {
    return (
      `the map of ${this.mapSize} bytes is full: at least ${this.needed} are needed. ` +
      "Specify a larger --map-size, or omit it to have the size determined automatically"
    )
  }
}

export interface RestoredObject {
  readonly name: string
  readonly result: MergeResult
}

export interface Restored {
  /** The merged objects, in the order of the merges. */
  readonly objects: ReadonlyArray<RestoredObject>
  /** Number of corrupt, refused or missing objects. */
  readonly problems: number
}

/** Number of retries of a request that has failed with a transient error. */
const retries = 4

/**
 * Maximum number of downloads of an object that is corrupt or has disappeared. The next listing may have another one.
 */
const attemptsMax = 3

const patiently = <A, E extends { readonly _tag: string }, R>(use: Effect.Effect<A, E | StorageError, R>) =>
  Effect.retry(use, {
    times: retries,
    while: (error) => error._tag === "StorageError" && (error as StorageError).isTransient,
    schedule: Schedule.exponential("500 millis")
  })

const wantedText = ({ atNano, database, instance, snapshot }: RestoreQuery): string =>
  snapshot === undefined
    ? `database "${database}"` +
      (instance === undefined ? "" : ` and instance "${instance}"`) +
      (atNano === undefined ? "" : ` of ${NanoTimestamp.format(atNano)} or before`)
    : `the name ${snapshot}`

/** Describes what the bucket contains instead, for the message. */
const foundText = (objects: ReadonlyArray<StoredObject>, { database }: RestoreQuery): string => {
  const { states } = planOf(objects, {
    database,
    snapshot: undefined,
    instance: undefined,
    atNano: undefined,
    retentionNano: undefined
  })
  if (states.length === 0) return "the bucket has no snapshot of this database"
  const instances = states.map(({ instance, timestampNano }) => `${instance} (${NanoTimestamp.format(timestampNano)})`)
  return `the newest ones are of ${instances.join(", ")}: see lightningstream snapshots list -t`
}

interface Restoring {
  readonly query: RestoreQuery
  readonly database: Database["Service"]
  readonly meter: Meter
}

/** Returns why an object cannot be merged, or undefined if the object is not the cause of the failure. */
const problemOf = (error: { readonly _tag: string; readonly message: string }): string | undefined =>
  "reaction" in error && String(error.reaction).startsWith("quarantine") ? error.message : undefined

/** Replaces the daemon's error about a full map, whose advice concerns the map of an application. */
const mapTooSmall = (error: DatabaseError): MapTooSmall | DatabaseError => {
  if (error.reason._tag !== "LmdbError" || error.reason.reason._tag !== "MapFull") return error
  const { mapSize, needed } = error.reason.reason
  return new MapTooSmall({ mapSize, needed })
}

/** Downloads and merges an object. A corrupt object is downloaded again, because another copy may be intact. */
const mergeOne = Effect.fnUntraced(function* ({ database, meter }: Restoring, snapshot: Snapshot) {
  const began = yield* Clock.monotonicTimeNanos
  const merge = Effect.scoped(
    Effect.gen(function* () {
      const spooled = yield* patiently(CheckedSnapshot.download(snapshot, meter))
      const [result] = yield* database.merge({ snapshots: [{ spooled, format: snapshot.name.format }] })
      return result
    })
  )
  const result = yield* Effect.retry(merge, {
    times: 1,
    while: (error) => error._tag === "DatabaseError" && error.reaction === "quarantine: corrupt"
  }).pipe(Effect.catchTag("DatabaseError", (error) => Effect.fail(mapTooSmall(error))))
  yield* Effect.logInfo("Restored a snapshot", {
    snapshot_name: snapshot.name.text,
    entries_read: result.entriesRead,
    entries_written: result.entriesWritten,
    time_total: Duration.millis(yield* millisSince(began))
  })
  return result
})

const warnOfStale = ({ stale }: RestorePlan) =>
  Effect.forEach(
    stale,
    ({ instance, objects }) =>
      Effect.logWarning(
        "Left out of the restore: it is older than the newest one by more than sweeper.retention_days, and may bring deleted entries back",
        { snapshot_name: objects.at(-1)!.name.text, snapshot_instance: instance }
      ),
    { discard: true }
  )

/** Reports that an object that leads to this delta is missing in the bucket. */
const reportMissing = (delta: Snapshot) =>
  Effect.logError("An object before a delta is missing: entries that only that object contained are not restored", {
    snapshot_name: delta.name.text,
    snapshot_instance: delta.name.instance
  })

/** Restores into the database `target`, which must be empty. */
export const run = Effect.fn("Restore.run")(function* (query: RestoreQuery, target: DatabaseOptions) {
  const list = patiently(SettledListing.list(query.database))
  let objects = yield* list
  const first = planOf(objects, query)
  if (first.states.length === 0)
    return yield* new NothingToRestore({ wanted: wantedText(query), found: foundText(objects, query) })
  yield* warnOfStale(first)
  const total = first.states.flatMap((state) => state.objects).reduce((sum, { object }) => sum + object.size, 0)
  const meter = yield* (yield* Progress).measure({ label: `Restoring ${query.database}`, unit: "bytes", total })
  const restoring = { query, database: yield* (yield* Databases).open(target), meter }
  const restored: Array<RestoredObject> = []
  const done = new Set<string>()
  const unusable = new Set<string>()
  // Instances with a missing object.
  const gaps = new Set<string>()
  let vanished = 0
  for (;;) {
    const { beyond, states } = planOf(objects, query, unusable)
    const next = [...states.flatMap((state) => state.objects), ...beyond].find(({ name }) => !done.has(name.text))
    if (next === undefined) break
    const { instance } = next.name
    if (beyond.includes(next) && !gaps.has(instance)) {
      gaps.add(instance)
      yield* reportMissing(next)
    }
    const { text } = next.name
    const result = yield* mergeOne(restoring, next).pipe(
      Effect.catchIf(
        (error) => error._tag === "StorageError" && error.reason._tag === "ObjectNotFound" && ++vanished < attemptsMax,
        () => Effect.succeed("vanished" as const)
      ),
      Effect.catchIf(
        (error) => problemOf(error) !== undefined,
        (error) => Effect.succeed({ problem: error.message })
      )
    )
    // A cleaner has removed it since the listing: then there is a newer one.
    if (result === "vanished") objects = yield* list
    else if ("problem" in result) {
      if (query.snapshot !== undefined) return yield* new SnapshotUnusable({ name: text, problem: result.problem })
      unusable.add(text)
      yield* Effect.logError("Left out of the restore: the next-newest snapshot of its instance is used", {
        snapshot_name: text,
        error: result.problem
      })
    } else {
      done.add(text)
      restored.push({ name: text, result })
    }
  }
  if (restored.length === 0) {
    const [name = ""] = unusable
    return yield* new SnapshotUnusable({ name, problem: "neither it nor an older one can be used" })
  }
  return { objects: restored, problems: unusable.size + gaps.size } satisfies Restored
}, Effect.scoped)
