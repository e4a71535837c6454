/** Decides for each database, and for all together, whether it is in sync, and if not, why and since when. */
import type { Failing } from "../../../services/Health.ts"
import type { DatabaseState } from "../../sync/facts/DaemonState.ts"

export type Severity = "ok" | "warn" | "bad"

export interface VerdictReason {
  readonly level: Severity
  readonly text: string
  /** Time in milliseconds since the UNIX epoch, or undefined if it is not known. */
  readonly since: number | undefined
  /** Name of the check, if the reason is a failing check. */
  readonly check?: string
}

export interface Verdict {
  /** A word that describes what the database is doing. */
  readonly state: string
  readonly level: Severity
  /** Reasons why the database is not in sync. Empty if it is. */
  readonly reasons: ReadonlyArray<VerdictReason>
}

/** Time in milliseconds for which a state may last without counting as out of sync. */
const graceMillis = 30_000

const waiting = ({ sync }: DatabaseState, now: number): ReadonlyArray<VerdictReason> => {
  if (sync === undefined) return []
  const { facts, options, stale } = sync
  const reasons: Array<VerdictReason> = []
  if (stale) reasons.push({ level: "bad", text: "the LMDB is stale: nothing is sent", since: undefined })
  if (facts.unsentSince !== undefined) {
    const level = now - facts.unsentSince > graceMillis ? "warn" : "ok"
    reasons.push({ level, text: "a change of the application is not stored yet", since: facts.unsentSince })
  }
  for (const [instance, { behindSince }] of facts.instances) {
    if (behindSince === undefined) continue
    const own = instance === options.instance ? " (this one's old snapshot)" : ""
    const level = now - behindSince > graceMillis ? "warn" : "ok"
    reasons.push({ level, text: `the newest snapshot of ${instance}${own} is not merged yet`, since: behindSince })
  }
  return reasons
}

const stateOf = (database: DatabaseState, failing: ReadonlyArray<Failing>): string => {
  const { isReady, sync } = database
  if (failing.length > 0) return "failing"
  if (sync === undefined) return "opening the LMDB"
  if (sync.stale) return "stale"
  if (!isReady) return "starting"
  const stages = [...sync.facts.instances.values()].flatMap(({ stage }) => stage?.name ?? [])
  if (stages.includes("merging")) return "merging"
  return sync.facts.sending?.name ?? stages[0] ?? "ready"
}

const worst = (levels: ReadonlyArray<Severity>): Severity =>
  levels.includes("bad") ? "bad" : levels.includes("warn") ? "warn" : "ok"

/**
 * Returns the verdict. `failing` contains the failing checks of the database; the daemon was started at `startedAt`.
 */
export const of = (
  database: DatabaseState,
  failing: ReadonlyArray<Failing>,
  startedAt: number,
  now: number
): Verdict => {
  const starting: ReadonlyArray<VerdictReason> = database.isReady
    ? []
    : [{ level: now - startedAt > graceMillis ? "warn" : "ok", text: "its start is in progress", since: startedAt }]
  const reasons = [
    ...failing.map(({ check, message, since }): VerdictReason => ({ level: "bad", text: message, since, check })),
    ...starting,
    ...waiting(database, now)
  ]
  return { state: stateOf(database, failing), level: worst(reasons.map(({ level }) => level)), reasons }
}
