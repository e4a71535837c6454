/** The state that the fibers of the receiver of one database share. */
import type { SyncState } from "../SyncState.ts"
import type * as Outage from "../Outage.ts"

export interface WaitingForRoom {
  /** Id of the application's last transaction before the merge. Any later one may have freed space. */
  readonly lastForeign: bigint
  /**
   * Time on the monotonic clock at which the merge is retried in any case, because a reader that has ended since then
   * may have prevented pages from being reused.
   */
  readonly until: bigint
}

/** An outage of all instances together, which is over when no instance fails any more. */
export interface FailingInstances {
  readonly outage: Outage.Outage
  /** Instances whose last attempt failed. */
  readonly instances: Set<string>
}

export interface ReceiverState {
  readonly state: SyncState
  readonly load: FailingInstances
  /** Merges that have failed and may recover on their own. A successful load does not end this outage. */
  readonly merge: FailingInstances
  readonly full: Outage.Outage
  /** Instances with a running child. */
  readonly busy: Set<string>
  /** Names of objects that were corrupt once. If a second download is corrupt as well, they are quarantined. */
  readonly suspects: Set<string>
  /** Instances whose merge found the map full. */
  readonly waitingForRoom: Map<string, WaitingForRoom>
  /** Names of foreign snapshots under our name that a warning was logged for. */
  readonly foreignSnapshots: Set<string>
  /** Names of foreign snapshots whose merge has failed, parts of which may have been committed. */
  readonly foreignInPart: Set<string>
}
