/**
 * Runs `sync` and `receive`. Every database is a child of this program. When a database fails, when all are done
 * (`--only-once`), or when a signal stops the process, the loops are interrupted, which aborts merges, and pending
 * changes are sent.
 */
import { Clock, Effect, Exit, Scope, Stream } from "effect"
import { instanceText } from "../domain/snapshot/SnapshotName.ts"
import type { CannotListen } from "../services/HttpServer.ts"
import { Settings, type SettingsValues } from "../services/Settings.ts"
import { Storage } from "../services/Storage.ts"
import { databaseOptions } from "./DatabaseOptions.ts"
import * as DatabaseSync from "./sync/DatabaseSync.ts"
import * as Outage from "./sync/Outage.ts"
import * as Sender from "./sync/send/Sender.ts"
import { DaemonState } from "./sync/facts/DaemonState.ts"
import type { SyncState } from "./sync/SyncState.ts"

export interface DaemonOptions {
  readonly receiveOnly: boolean
  readonly onlyOnce: boolean
  /** Names of the databases to sync. An empty list stands for all. */
  readonly onlyDb: ReadonlyArray<string>
  readonly markerFile: string | undefined
  readonly acceptStale: boolean
  readonly hostname: string
  /**
   * Serves the state over HTTP from the time this effect returns until the scope closes, which is after the last send.
   * The returned effect runs concurrently with the databases.
   */
  readonly serve?: ((state: DaemonState) => Effect.Effect<Effect.Effect<never>, CannotListen, Scope.Scope>) | undefined
}

/** Time for the last sends. It is shorter than the time after which the process kills itself. */
const lastSend = "7 seconds"

/**
 * Returns whether an object exists. It is loaded, because its writer may not use the update marker, so that a listing
 * may not show it for some time. It is also listed, because only that detects a missing directory or bucket.
 */
const exists = Effect.fnUntraced(function* (name: string) {
  const storage = yield* Storage
  if ((yield* storage.list(name)).some((object) => object.name === name)) return true
  return yield* Stream.runDrain(Stream.take(storage.load(name), 1)).pipe(
    Effect.as(true),
    Effect.catchIf(
      ({ reason }) => reason._tag === "ObjectNotFound",
      () => Effect.succeed(false)
    )
  )
})

/** Waits until an object exists. An outage of the bucket does not end the wait. */
const waitForMarker = Effect.fnUntraced(function* (name: string) {
  const { storage_poll_interval } = yield* Settings
  const outage = yield* Outage.make("marker_file", "look for the marker file")
  yield* Effect.logInfo("Waiting for the marker file", { name })
  while (!(yield* Outage.untilItWorks(outage, storage_poll_interval, () => true, exists(name))))
    yield* Effect.sleep(storage_poll_interval)
})

const areDeltasSent = ({ delta_snapshots }: SettingsValues, { onlyOnce, receiveOnly }: DaemonOptions): boolean =>
  delta_snapshots !== "never" && !onlyOnce && !receiveOnly

const unsent = ({ index, stale }: SyncState): string => {
  if (stale) return "Nothing was sent: the LMDB is stale, see above"
  return index.isBlocked
    ? "Nothing was sent: our own newest snapshot is refused, see above"
    : "Pending changes were not sent: they are sent after the next start"
}

/** Sends pending changes. Returns false if some were not sent. */
const sendUnsent = (state: SyncState) =>
  Sender.finish(state).pipe(
    Effect.timeoutOrElse({ duration: lastSend, orElse: () => Effect.succeed(false) }),
    Effect.catchCause((cause) => Effect.as(Effect.logError("The last send failed", cause), false)),
    Effect.tap((sent) => (sent ? Effect.void : Effect.logError(unsent(state)))),
    Effect.ensuring(state.lastDump.giveUp),
    Effect.annotateLogs({ db: state.options.database, instance: state.options.instance })
  )

/** Reports that an LMDB was not opened. Returns false, because its unsent changes are not known. */
const reportUnopened = (db: string, instance: string) =>
  Effect.logError("Ended before the LMDB was opened: what is unsent in it is sent after the next start").pipe(
    Effect.annotateLogs({ db, instance }),
    Effect.as(false)
  )

/**
 * Runs until `stop` completes with a reason, or until something fails; then `failed` is called before the orderly end.
 * Returns the exit code.
 */
export const run = Effect.fn("Daemon.run")(function* (
  options: DaemonOptions,
  stop: Effect.Effect<string>,
  failed: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
) {
  const settings = yield* Settings
  const instance = instanceText(settings.instance)
  const names = Object.keys(settings.lmdbs).filter(
    (name) => options.onlyDb.length === 0 || options.onlyDb.includes(name)
  )
  for (const name of Object.keys(settings.lmdbs)) {
    if (!names.includes(name)) yield* Effect.logWarning("Skipped a database that --only-db does not name", { db: name })
  }
  const state = new DaemonState(names, yield* Clock.currentTimeMillis)
  let allMerged = true
  const sync = Effect.forEach(
    state.databases,
    (databaseState) => {
      const database = databaseState.name
      return DatabaseSync.run(
        { ...options, database, instance, keepLast: settings.spool_keep_last },
        { ...databaseOptions(settings, database), deltas: areDeltasSent(settings, options) },
        {
          missing: (isMissing) => void (databaseState.isMissing = isMissing),
          opened: (state) => void (databaseState.sync = state)
        }
      ).pipe(
        // The other databases continue: each has its own snapshots to merge and to send.
        Effect.catchTag("NotAllMerged", (error) =>
          Effect.andThen(
            Effect.sync(() => void (allMerged = false)),
            Effect.annotateLogs(Effect.logError(error.message), { db: database, instance })
          )
        )
      )
    },
    { concurrency: "unbounded", discard: true }
  )

  // An address that cannot be listened on ends the daemon before any LMDB is opened.
  const { markerFile, serve } = options
  const scope = yield* Effect.scope
  const served =
    serve === undefined
      ? sync
      : Effect.flatMap(Scope.provide(serve(state), scope), (loops) => Effect.raceFirst(sync, loops))
  const work = markerFile === undefined ? served : Effect.andThen(waitForMarker(markerFile), served)
  const stopped = Effect.flatMap(stop, (signal) => Effect.logInfo("Shutting down, sending pending changes", { signal }))
  const exit = yield* Effect.exit(Effect.raceFirst(work, stopped))
  if (Exit.isFailure(exit)) {
    yield* Effect.logError("Fatal error, shutting down", exit.cause)
    yield* failed(exit)
  }
  const sent = yield* Effect.forEach(
    state.databases,
    ({ isMissing, name, sync }) => {
      if (sync !== undefined) return sendUnsent(sync)
      const hasNothing = Exit.isFailure(exit) || options.receiveOnly || isMissing
      return hasNothing ? Effect.succeed(true) : reportUnopened(name, instance)
    },
    { concurrency: "unbounded" }
  )
  return Exit.isSuccess(exit) && allMerged && sent.every((done) => done) ? 0 : 1
}, Effect.scoped)
