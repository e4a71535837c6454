/**
 * The state of the daemon, which health, metrics and the status page read. It is plain state on the main thread. The
 * loops of each database change their `SyncState`, and nothing is copied from it.
 */
import type { SyncState } from "../SyncState.ts"

/** A database of this run, from its start on. */
export class DatabaseState {
  readonly name: string
  /** State of its loops, or undefined until its LMDB is open. */
  sync: SyncState | undefined
  /** True if the last attempt to open it found no LMDB file. */
  isMissing = false
  private wasReady = false

  constructor(name: string) {
    this.name = name
  }

  /**
   * True once the snapshots that were in the bucket at the start are merged and our own is stored. It then stays true.
   */
  get isReady(): boolean {
    this.wasReady ||= this.sync?.isReady === true
    return this.wasReady
  }
}

export class DaemonState {
  readonly databases: ReadonlyArray<DatabaseState>
  /** Start of the daemon in milliseconds since the UNIX epoch. */
  readonly startedAt: number

  constructor(databases: ReadonlyArray<string>, startedAt: number) {
    this.databases = databases.map((name) => new DatabaseState(name))
    this.startedAt = startedAt
  }
}
