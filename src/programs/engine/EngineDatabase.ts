/** State of one open database, in the worker that owns it. */
import type { Effect } from "effect"
import type { DatabaseOptions } from "../../services/Database.ts"
import type { KeyTracker } from "./changes/KeyTracker.ts"
import type { ChangeTracker } from "./ChangeTracker.ts"
import type { CompressedMembers } from "./dump/PreviousMembers.ts"
import type { KnownMembers } from "./merge/KnownMembers.ts"
import type { Mode } from "./merge/Mode.ts"
import type { WalkedDbis } from "./merge/WalkedDbis.ts"
import type { ShadowState } from "./shadow/ShadowCopy.ts"

export interface EngineDatabase {
  readonly options: DatabaseOptions
  readonly mode: Mode
  readonly tracker: ChangeTracker
  /** Tracks which keys have changed. */
  readonly changes: KeyTracker
  readonly shadow: ShadowState
  readonly known: KnownMembers
  readonly walked: WalkedDbis
  /** Time for which copies before deltas that were not made have held the lock. The next dump reports it. */
  untoldLockMillis: number
  /** Compressed members of the last dump. */
  last: CompressedMembers | undefined
}

/** Runs an effect while no other effect runs this way. In native mode, several may run at once. */
export type Exclusively = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
