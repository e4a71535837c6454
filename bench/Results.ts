/**
 * What the measured processes report on standard output, as one line of JSON: the contract between them and main.ts.
 */
import { Schema } from "effect"

export const FloorResult = Schema.Struct({
  millis: Schema.Finite,
  /** Bytes or entries that it went through. */
  amount: Schema.Finite,
  /** The longest of its commits, where it commits. */
  longestCommitMillis: Schema.Finite
})
export type FloorResult = typeof FloorResult.Type

export const ScenarioResult = Schema.Struct({
  millis: Schema.Finite,
  /** Longest gap of the main thread's event loop. */
  loopGapMillis: Schema.Finite,
  /** The longest that it was blocked for: without its own sleep, or the wait for a core. */
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

/** Milliseconds: `Gaps` of LoopMeter.ts. */
export const LoopReport = Schema.Struct({
  loopGapMillis: Schema.Finite,
  loopBlockedMillis: Schema.Finite,
  workedMillis: Schema.Finite,
  blockedUntilMillis: Schema.Finite,
  loopBusyMillis: Schema.Finite
})

export const ProberReport = Schema.Struct({
  longestWaitMillis: Schema.Finite,
  /** How often it took the lock. */
  takes: Schema.Finite,
  /** Last transaction ids, before and after. */
  firstId: Schema.Finite,
  lastId: Schema.Finite
})
export type ProberReport = typeof ProberReport.Type

/** Bytes of the data file before and after. */
export const WriterReport = Schema.Struct({
  transactions: Schema.Finite,
  before: Schema.Finite,
  after: Schema.Finite
})
export type WriterReport = typeof WriterReport.Type

export const LatencyResult = Schema.Struct({ millis: Schema.Array(Schema.Finite) })
export type LatencyResult = typeof LatencyResult.Type
