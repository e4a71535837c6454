/**
 * The scenarios of one database. Each runs in a new process (scenario.ts), with the prober in another one. Its floors
 * (floor.ts) run immediately afterwards, so that both run under the same load of the machine. Of several rounds, the
 * median of the times is reported, and the worst of memory, waits and gaps.
 */
import { Data, Effect } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as EventLoop from "./EventLoop.ts"
import * as LockProbe from "./LockProbe.ts"
import { FloorResult, type ProberReport, ScenarioResult } from "./Results.ts"
import { median } from "./Statistics.ts"
import { atMost, type Figure, megabytes, milliseconds, must, plain, type Row, seconds, times } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

/** A scenario has done something else than intended, so its figures would mean nothing. */
export class WrongOutcome extends Data.TaggedError("WrongOutcome")<{
  readonly scenario: string
  readonly problem: string
}> {
  override get message(): string {
    return `${this.scenario}: ${this.problem}`
  }
}

/** The results of one round. */
interface Round {
  readonly scenario: ScenarioResult
  readonly peak: number
  readonly probe: ProberReport
  readonly floorMillis: number
  /** Time of a bare commit of as many puts, in milliseconds. */
  readonly commitMillis: number
  /**
   * The longest time for which the event loop of this process, which has almost nothing to do, was blocked meanwhile.
   * The cause of that is the machine.
   */
  readonly bystanderMillis: number
}

export interface Judged {
  readonly row: Row
  readonly entries: number
  /** Highest RssAnon in MB. */
  readonly peak: number
}

const floors = new URL("./floor.ts", import.meta.url)
const floor = (...args: ReadonlyArray<string>) =>
  Effect.map(Child.run(floors, args, FloorResult), ({ report }) => report)

/** Runs a floor, which must process exactly this number of entries. */
export const floorOf = Effect.fnUntraced(function* (
  entries: number,
  kind: "walk" | "put",
  ...args: ReadonlyArray<string>
) {
  const result = yield* floor(kind, ...args)
  if (result.amount !== entries)
    return yield* new WrongOutcome({
      scenario: `floor ${kind}`,
      problem: `${result.amount} entries instead of ${entries}`
    })
  return result
})

/** Returns the number of entries in the LMDB. In shadow mode, each entry is in main and in the shadow. */
const stored = ({ entries, mode }: Workspace.Workspace): number => (mode === "shadow" ? 2 * entries : entries)

/** Returns the prefix of the names of the DBIs that have the headers. */
const headersPrefix = ({ mode }: Workspace.Workspace): string => (mode === "shadow" ? "_sync_shadow_" : "")

/** Runs a scenario while the prober asks for the write lock of `lmdb`. */
const probed = (lmdb: string, args: ReadonlyArray<string>) =>
  Effect.map(
    LockProbe.during(lmdb, EventLoop.gapsDuring(Child.run(Bundle.scenario, args, ScenarioResult))),
    ({ probe, value: { loopBlockedMillis, value } }) => ({
      scenario: value.report,
      peak: value.peak,
      probe,
      bystanderMillis: loopBlockedMillis
    })
  )

const expect = (scenario: string, wrote: number, expected: number) =>
  wrote === expected
    ? Effect.void
    : new WrongOutcome({ scenario, problem: `${wrote} entries written instead of ${expected}` })

const send = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const { directory, lmdb, mode, snapshot, target } = workspace
  const round = yield* probed(lmdb, ["send", mode, lmdb, directory, target])
  yield* Workspace.remove(target)
  const walk = yield* floorOf(stored(workspace), "walk", lmdb)
  const deflate = yield* floor("deflate", snapshot)
  return { ...round, floorMillis: walk.millis + deflate.millis, commitMillis: 0 } satisfies Round
})

const firstLoad = (lockMillis: number) =>
  Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
    const { entries, directory, lmdb, mode, snapshot, target } = workspace
    yield* Workspace.makeEmpty(target)
    const round = yield* probed(target, ["merge", mode, target, directory, String(lockMillis), snapshot])
    const { entriesWritten, transactions } = round.scenario
    yield* expect("first load", entriesWritten, entries)
    const gunzip = yield* floor("gunzip", snapshot)
    yield* Workspace.makeEmpty(target)
    const put = yield* floorOf(stored(workspace), "put", lmdb, target, "0")
    let commitMillis = put.longestCommitMillis
    if (lockMillis > 0) {
      yield* Workspace.makeEmpty(target)
      commitMillis = (yield* floorOf(
        stored(workspace),
        "put",
        lmdb,
        target,
        String(Math.ceil(entriesWritten / transactions))
      )).longestCommitMillis
    }
    yield* Workspace.remove(target)
    return { ...round, floorMillis: gunzip.millis + put.millis, commitMillis } satisfies Round
  })

const nothingNew = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const { entries, directory, lmdb, mode, snapshot } = workspace
  const round = yield* probed(lmdb, ["merge", mode, lmdb, directory, "0", snapshot, snapshot, snapshot])
  yield* expect("3 merges, nothing new", round.scenario.entriesWritten, 0)
  const gunzip = yield* floor("gunzip", snapshot)
  // Main is compared with its shadow only before the first merge, because nothing is committed after that.
  const first = yield* floorOf(stored(workspace), "walk", lmdb)
  const next = yield* floorOf(entries, "walk", lmdb, headersPrefix(workspace))
  return { ...round, floorMillis: 3 * gunzip.millis + first.millis + 2 * next.millis, commitMillis: 0 } satisfies Round
})

const oneChanged = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const { changedSnapshot, directory, lmdb, mode, target } = workspace
  yield* Workspace.copy(lmdb, target)
  const round = yield* probed(target, ["merge", mode, target, directory, "0", changedSnapshot])
  yield* expect("1 changed entry", round.scenario.entriesWritten, 1)
  const gunzip = yield* floor("gunzip", changedSnapshot)
  const walk = yield* floorOf(stored(workspace), "walk", target)
  const commit = yield* floor("commit", target)
  yield* Workspace.remove(target)
  return { ...round, floorMillis: gunzip.millis + walk.millis, commitMillis: commit.millis } satisfies Round
})

export interface Scenario {
  /** Name for `--only`. */
  readonly key: string
  readonly mode: Workspace.Mode
  readonly title: string
  readonly round: (workspace: Workspace.Workspace) => ReturnType<typeof send> | ReturnType<typeof nothingNew>
  /** Maximum time, relative to the floor. Undefined if pauses are part of the scenario. */
  readonly ratio: number | undefined
  /** Maximum of the peak of RssAnon in MB. */
  readonly peak: number
  /** Maximum of the peak, relative to that at the next smaller size. Undefined if there is no such goal. */
  readonly growth: number | undefined
  readonly lock: (probe: ProberReport, scenario: ScenarioResult, commitMillis: number) => Figure
}

const untouched = (probe: ProberReport, { transactions }: ScenarioResult): Figure =>
  must(
    transactions === 0 && probe.firstId === probe.lastId,
    `${milliseconds(probe.longestWaitMillis)}, no write of ours`
  )

const within =
  (millis: number) =>
  (probe: ProberReport, _: ScenarioResult, commitMillis: number): Figure =>
    atMost(probe.longestWaitMillis, millis + commitMillis, milliseconds)

const waited = (probe: ProberReport): Figure => plain(milliseconds(probe.longestWaitMillis))

export const scenarios: ReadonlyArray<Scenario> = [
  { key: "send", mode: "native", title: "send", round: send, ratio: 1.2, peak: 160, growth: 1.3, lock: untouched },
  {
    key: "load",
    mode: "native",
    title: "first load",
    round: firstLoad(0),
    ratio: 1.5,
    peak: 700,
    growth: undefined,
    lock: waited
  },
  {
    key: "load-parts",
    mode: "native",
    title: "first load, merge_lock_duration 50ms",
    round: firstLoad(50),
    ratio: undefined,
    peak: 160,
    growth: undefined,
    lock: within(60)
  },
  {
    key: "merge",
    mode: "native",
    title: "3 merges, nothing new",
    round: nothingNew,
    ratio: 1.5,
    peak: 160,
    growth: 1.3,
    lock: untouched
  },
  {
    key: "change",
    mode: "native",
    title: "merge, 1 changed entry",
    round: oneChanged,
    ratio: 1.5,
    peak: 160,
    growth: 1.3,
    lock: within(5)
  },
  {
    key: "shadow-send",
    mode: "shadow",
    title: "shadow: send",
    round: send,
    ratio: 2,
    peak: 160,
    growth: 1.3,
    lock: untouched
  },
  {
    key: "shadow-load",
    mode: "shadow",
    title: "shadow: first load",
    round: firstLoad(0),
    ratio: 2,
    peak: 700,
    growth: undefined,
    lock: waited
  },
  {
    key: "shadow-merge",
    mode: "shadow",
    title: "shadow: 3 merges, nothing new",
    round: nothingNew,
    ratio: 2,
    peak: 160,
    growth: 1.3,
    lock: untouched
  }
]

const worst = (values: ReadonlyArray<number>): number => Math.max(...values)

/**
 * Minimum number of entries for comparing the memory of two sizes. With fewer entries, not all buffers and code are in
 * use.
 */
const comparable = 800_000

/** Maximum time in milliseconds for which the event loop of the main thread may be blocked. */
const blockedLimit = 20

export const blockedFigure = (millis: number): Figure => atMost(millis, blockedLimit, milliseconds)

/**
 * Returns the longest gap and the longest blocked time, of which only the latter has a goal. The gap also depends on
 * the machine: with more threads than cores each of them waits, and a timer is late when a virtual core is suspended.
 */
const gaps = (scenarios: ReadonlyArray<ScenarioResult>): Figure => {
  const gap = milliseconds(worst(scenarios.map(({ loopGapMillis }) => loopGapMillis)))
  const blocked = blockedFigure(worst(scenarios.map(({ loopBlockedMillis }) => loopBlockedMillis)))
  return { ...blocked, text: `${gap}, ${blocked.text}` }
}

export const judge = (
  scenario: Scenario,
  workspace: Workspace.Workspace,
  rounds: ReadonlyArray<Round>,
  smaller: Judged | undefined
): Judged => {
  const time = median(rounds.map((round) => round.scenario.millis))
  const floorMillis = median(rounds.map((round) => round.floorMillis))
  const peak = worst(rounds.map((round) => round.peak))
  const commitMillis = worst(rounds.map((round) => round.commitMillis))
  const probe = rounds
    .map((round) => round.probe)
    .reduce((a, b) => ({
      longestWaitMillis: Math.max(a.longestWaitMillis, b.longestWaitMillis),
      takes: a.takes + b.takes,
      firstId: 0,
      lastId: a.lastId - a.firstId + b.lastId - b.firstId
    }))
  const ratio = time / floorMillis
  const grown =
    smaller === undefined || scenario.growth === undefined || smaller.entries < comparable
      ? Infinity
      : scenario.growth * smaller.peak
  const peakLimit = Math.min(scenario.peak, grown)
  return {
    entries: workspace.entries,
    peak,
    row: {
      scenario: plain(scenario.title),
      entries: plain(workspace.entries.toLocaleString("en")),
      time: plain(seconds(time)),
      floor: plain(seconds(floorMillis)),
      "time / floor": scenario.ratio === undefined ? plain(times(ratio)) : atMost(ratio, scenario.ratio, times),
      "peak RssAnon": atMost(peak, peakLimit, megabytes),
      "longest wait for the write lock": scenario.lock(probe, rounds[0]!.scenario, commitMillis),
      "longest gap of the event loop, of it blocked": gaps(rounds.map((round) => round.scenario)),
      "blocked in a process beside it": plain(milliseconds(worst(rounds.map(({ bystanderMillis }) => bystanderMillis))))
    }
  }
}

/** Runs all rounds of a scenario, one after the other. */
export const run = (scenario: Scenario, workspace: Workspace.Workspace, rounds: number) =>
  Effect.forEach(Array.from({ length: rounds }), () => scenario.round(workspace))
