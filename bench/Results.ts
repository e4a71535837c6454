/**
 * The reports that the measured processes write to standard output, as one line of JSON: the contract between them and
 * main.ts.
 */
import { Schema } from "effect"

export const FloorResult = Schema.Struct({
  millis: Schema.Finite,
  /** Number of bytes or entries that were processed. */
  amount: Schema.Finite,
  /** Time of its longest commit, if it commits. */
  longestCommitMillis: Schema.Finite
})
export type FloorResult = typeof FloorResult.Type

export const ScenarioResult = Schema.Struct({
  millis: Schema.Finite,
  /** Longest gap of the main thread's event loop. */
  loopGapMillis: Schema.Finite,
  /** Longest time for which the loop was blocked, excluding its own sleep and waits for a core. */
  loopBlockedMillis: Schema.Finite,
  entriesRead: Schema.Finite,
  entriesWritten: Schema.Finite,
  compressedSize: Schema.Finite,
  uncompressedSize: Schema.Finite,
  transactions: Schema.Finite,
  lockHeldMillis: Schema.Finite,
  longestLockMillis: Schema.Finite
})
export type ScenarioResult = typeof ScenarioResult.Type

/** Times in milliseconds, as in `Gaps` of LoopMeter.ts. */
export const LoopReport = Schema.Struct({
  loopGapMillis: Schema.Finite,
  loopBlockedMillis: Schema.Finite,
  workedMillis: Schema.Finite,
  blockedUntilMillis: Schema.Finite,
  loopBusyMillis: Schema.Finite
})

export const ProberReport = Schema.Struct({
  longestWaitMillis: Schema.Finite,
  /** Number of times that it took the lock. */
  takes: Schema.Finite,
  /** Ids of the last transaction before and after. */
  firstId: Schema.Finite,
  lastId: Schema.Finite
})
export type ProberReport = typeof ProberReport.Type

/** Size of the data file in bytes, before and after. */
export const WriterReport = Schema.Struct({
  transactions: Schema.Finite,
  before: Schema.Finite,
  after: Schema.Finite
})
export type WriterReport = typeof WriterReport.Type

export const LatencyResult = Schema.Struct({ millis: Schema.Array(Schema.Finite) })
export type LatencyResult = typeof LatencyResult.Type
