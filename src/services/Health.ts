/**
 * The state of the daemon's health checks. Components report failures and recoveries, which /healthz and the status
 * page show. A failing check keeps the time of its first failure until it recovers.
 */
import { Context, type Effect } from "effect"

export interface Failing {
  /** Name of the check, such as `<database>_storage_list` or `<database>_lmdb_missing`. */
  readonly check: string
  /** Time of the first failure after the last success, in milliseconds since the UNIX epoch. */
  readonly since: number
  /** Number of failures since then, the first one included. */
  readonly attempts: number
  readonly message: string
}

/** A failure that lasts, or that the check has recovered from. */
export interface PastFailure extends Failing {
  /** Time of the recovery in milliseconds since the UNIX epoch, or undefined while the failure lasts. */
  readonly until: number | undefined
}

export class Health extends Context.Service<
  Health,
  {
    /** Reports a failure. Returns true if the check was not failing before, so that the caller logs it only once. */
    readonly failing: (check: string, message: string) => Effect.Effect<boolean>
    /** Reports a success. Returns for how many milliseconds the check had been failing, or undefined if it was not. */
    readonly well: (check: string) => Effect.Effect<number | undefined>
    /** The failing checks, sorted by name. */
    readonly all: Effect.Effect<ReadonlyArray<Failing>>
    /** The last 20 failures, the newest first, including those that are over. */
    readonly recent: Effect.Effect<ReadonlyArray<PastFailure>>
  }
>()("lightningstream/services/Health") {}
