/**
 * The state of the daemon's checks. Components report; /healthz and the status page read. A failing check keeps the
 * time of its first failure until it recovers.
 */
import { Context, type Effect } from "effect"

export interface Failing {
  /** `<database>_storage_list`, `<database>_lmdb_missing`, … */
  readonly check: string
  /** Milliseconds since the UNIX epoch: of the first failure after the last success. */
  readonly since: number
  /** Failures since then. */
  readonly attempts: number
  readonly message: string
}

/** A failure, also one that is over. */
export interface PastFailure extends Failing {
  /** Milliseconds since the UNIX epoch; undefined while it lasts. */
  readonly until: number | undefined
}

export class Health extends Context.Service<
  Health,
  {
    /** True when the check was well (or unknown) before: the moment to log it. */
    readonly failing: (check: string, message: string) => Effect.Effect<boolean>
    /** For how long it had been failing, in milliseconds; undefined when it was well before. */
    readonly well: (check: string) => Effect.Effect<number | undefined>
    /** By name of the check. */
    readonly all: Effect.Effect<ReadonlyArray<Failing>>
    /** The last 20 failures, those that are over included; the newest first. */
    readonly recent: Effect.Effect<ReadonlyArray<PastFailure>>
  }
>()("lightningstream/services/Health") {}
