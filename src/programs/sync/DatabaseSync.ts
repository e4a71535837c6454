/**
 * Syncs one database with the bucket. Its loops (list, receive, send, clean and others) are children of this program.
 * When one of them ends, the program ends with the same cause.
 */
import { Data, Effect } from "effect"
import { Databases } from "../../services/Databases.ts"
import type { DatabaseError, DatabaseOptions } from "../../services/Database.ts"
import { Settings } from "../../services/Settings.ts"
import * as Cleaner from "./Cleaner.ts"
import * as Lister from "./Lister.ts"
import * as Outage from "./Outage.ts"
import * as DeadReaders from "./DeadReaders.ts"
import * as Receiver from "./receive/Receiver.ts"
import * as Sender from "./send/Sender.ts"
import * as Staleness from "./Staleness.ts"
import * as StatisticsLog from "./StatisticsLog.ts"
import * as Sweeper from "./Sweeper.ts"
import { type DatabaseSyncOptions, SyncState } from "./SyncState.ts"

/** A database could not merge everything with `--only-once`. */
export class NotAllMerged extends Data.TaggedError("NotAllMerged")<{
  readonly database: string
  readonly problems: number
}> {
  override get message(): string {
    return `database "${this.database}": ${this.problems} snapshot(s) were refused, corrupt or missing, see above`
  }
}

/** Receives the progress of opening a database. */
export interface Opening {
  /** Called after each attempt that fails, with true if there was no LMDB file. */
  readonly missing: (isMissing: boolean) => void
  /** Called when the database is open, with the state that the last sends of an orderly end need. */
  readonly opened: (state: SyncState) => void
}

/** Opens the database. Waits for a missing file, except with `--only-once`. */
const open = Effect.fnUntraced(function* (options: DatabaseSyncOptions, database: DatabaseOptions, told: Opening) {
  const databases = yield* Databases
  const { lmdb_poll_interval } = yield* Settings
  const missing = yield* Outage.make(`${options.database}_lmdb_missing`, "open the LMDB")
  const passes = ({ reaction }: DatabaseError) =>
    !options.onlyOnce && (reaction === "wait: missing" || reaction === "retry")
  const attempt = Effect.tapError(databases.open(database), ({ reaction }) =>
    Effect.sync(() => told.missing(reaction === "wait: missing"))
  )
  return yield* Outage.untilItWorks(missing, lmdb_poll_interval, passes, attempt)
})

/** Waits until everything that was in the bucket at the start is merged, and our own snapshot is sent. */
const untilReady = Effect.fnUntraced(function* (state: SyncState) {
  const notified = state.wakeups()
  while (!state.isReady) yield* notified
  if (state.problems > 0) return yield* new NotAllMerged({ database: state.options.database, problems: state.problems })
})

const logReady = Effect.fnUntraced(function* (state: SyncState) {
  const notified = state.wakeups()
  while (!state.isReady) yield* notified
  yield* Effect.logInfo("Initial sync complete")
})

/** Syncs the database. Without `--only-once`, it runs forever. */
export const run = Effect.fn("DatabaseSync.run")(
  function* (options: DatabaseSyncOptions, database: DatabaseOptions, told: Opening) {
    const state = new SyncState(options, yield* open(options, database, told), yield* Cleaner.planOf(options))
    told.opened(state)
    const { sweeper } = yield* Settings
    const changes = yield* state.database.changes
    yield* Effect.logInfo("Syncing", { path: database.lmdb.path, txnID: String(changes.last) })
    yield* Staleness.observe(state)
    const loops = Effect.all(
      [
        Lister.run(state),
        Receiver.run(state),
        Sender.run(state),
        logReady(state),
        DeadReaders.run(state),
        StatisticsLog.run(state),
        state.cleaner === undefined ? Effect.never : Cleaner.run(options.database, state.cleaner),
        sweeper.enabled ? Sweeper.run(state) : Effect.never
      ],
      { concurrency: "unbounded", discard: true }
    )
    yield* options.onlyOnce ? Effect.raceFirst(loops, untilReady(state)) : loops
  },
  (effect, { database, instance }) => Effect.annotateLogs(effect, { db: database, instance })
)
