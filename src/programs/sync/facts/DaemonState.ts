/**
 * What the daemon is doing: the one place that health, metrics and the status page read. Plain state on the main
 * thread; the loops of each database change their `SyncState`, and nothing here is copied from it.
 */
import type { SyncState } from "../SyncState.ts"

/** A database of this run, from the start on. */
export class DatabaseState {
  readonly name: string
  /** Undefined until its LMDB is open. */
  sync: SyncState | undefined
  /** The last attempt to open it found no LMDB file. */
  isMissing = false
  private wasReady = false

  constructor(name: string) {
    this.name = name
  }

  /** What was in the bucket at the start is merged and ours is stored: once true, always. */
  get isReady(): boolean {
    this.wasReady ||= this.sync?.isReady === true
    return this.wasReady
  }
}

export class DaemonState {
  readonly databases: ReadonlyArray<DatabaseState>
  /** Milliseconds since the UNIX epoch. */
  readonly startedAt: number

  constructor(databases: ReadonlyArray<string>, startedAt: number) {
    this.databases = databases.map((name) => new DatabaseState(name))
    this.startedAt = startedAt
  }
}
