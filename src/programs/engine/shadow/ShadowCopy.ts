/**
 * The copy main → shadow, which records the application's changes with their time in the shadow DBIs. Source:
 * docs/sync.md, Shadow mode.
 *
 * Differences are found in a read transaction, and LMDB's write lock is held only while they are put. If the
 * application has committed in between, another round begins. After three rounds, or if the differences do not fit into
 * memory, the walk is done inside the write transaction.
 *
 * If the application has dropped a DBI, its shadow stays unchanged.
 */
import { Clock, Effect } from "effect"
import { Lmdb } from "../../../services/Lmdb.ts"
import type { KeyTracker } from "../changes/KeyTracker.ts"
import type { Mode } from "../merge/Mode.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import { DifferencesJob } from "./DifferencesJob.ts"
import * as ShadowDifferences from "./ShadowDifferences.ts"
import type { Stamp } from "./ShadowWalk.ts"
import { copyIn, WholeCopyJob } from "./WholeCopy.ts"

/** State of the copies of one database. */
export interface ShadowState {
  /** True if the first copy, with the time 1 ns, is done. */
  started: boolean
  /** Id of the transaction up to which main and shadow are equal. */
  copiedThrough: bigint | undefined
  /** Determines which keys the copy must examine. */
  readonly changes: KeyTracker
}

/** Number of rounds before the walk is done inside the write transaction. */
const maxRounds = 3

const stampNow = Effect.map(Clock.currentTimeNanos, (now): Stamp => ({
  first: false,
  high: Number(now >> 32n),
  low: Number(now & 0xffffffffn)
}))

const stampFirst: Stamp = { first: true, high: 0, low: 1 }

/**
 * Puts differences. Returns the id of the transaction up to which main was copied, or undefined if the application has
 * committed since they were found.
 */
const put = (mode: Mode, stamp: Stamp, writing: WriteTransactions.Writing) =>
  Effect.fnUntraced(function* ({ hasWork, id, winners }: ShadowDifferences.Differences) {
    if (!hasWork) return id
    const job = winners.overflown ? new WholeCopyJob(mode, stamp) : new DifferencesJob(winners)
    return yield* WriteTransactions.write(writing, job, id, Effect.void).pipe(
      Effect.catchTag("BeginAgain", () => Effect.undefined)
    )
  })

/** Finds and puts the differences inside one write transaction. */
const copyInside = (mode: Mode, stamp: Stamp, writing: WriteTransactions.Writing) =>
  WriteTransactions.writeToEnd(writing, new WholeCopyJob(mode, stamp), 0n)

/**
 * Repeats `round` until the application has not committed during one of them, at most `maxRounds` times. Then runs
 * `last`, during which the application cannot commit.
 */
const copy = Effect.fn("ShadowCopy.copy")(function* <E, R, E2, R2>(
  round: Effect.Effect<bigint | undefined, E, R>,
  last: Effect.Effect<bigint, E2, R2>
) {
  for (let rounds = 0; rounds < maxRounds; rounds++) {
    const id = yield* round
    if (id !== undefined) return id
  }
  return yield* last
})

/**
 * Makes the first copy, unless that was done. It leaves changed values as they are, for the next copy. No tracked key
 * identifies those values, so the next copy examines all keys as well.
 */
export const start = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  if (state.started) return
  const { read } = yield* Lmdb
  const find = Effect.flatMap(read, (view) => ShadowDifferences.find(mode, stampFirst, view, undefined))
  const round = Effect.flatMap(Effect.scoped(find), put(mode, stampFirst, writing))
  yield* copy(round, copyInside(mode, stampFirst, writing))
  state.started = true
})

/**
 * Makes the shadow equal to main. Does nothing if there was no commit since the last copy. Returns the id of the
 * transaction up to which they are equal.
 */
export const update = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  const { lastTransactionId } = yield* Lmdb
  yield* start(mode, state, writing)
  if (state.copiedThrough === undefined || (yield* lastTransactionId) !== state.copiedThrough) {
    const { changes } = state
    const round = Effect.flatMap(stampNow, (stamp) =>
      changes.look((view, changed) => ShadowDifferences.find(mode, stamp, view, changed), put(mode, stamp, writing))
    )
    const last = Effect.flatMap(stampNow, (stamp) => changes.lookAtAll(copyInside(mode, stamp, writing)))
    state.copiedThrough = yield* copy(round, last)
  }
  return state.copiedThrough
})

/** Returns the copy as work inside a write transaction, for callers that continue in that transaction. */
export const insideNow = (mode: Mode) => Effect.map(stampNow, (stamp) => copyIn(mode, stamp))
