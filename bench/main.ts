/**
 * `npm run bench`: runs the scenarios of docs/benchmarks.md, and prints each with its floor and its goal as Markdown.
 *
 *     npm run bench                                    800,000 entries (100,000 domains)
 *     npm run bench -- --domains 100000,1000000        8 million entries as well: several GB of disk, half an hour
 *     npm run bench -- --only send,merge --rounds 1
 *
 * The exit code is 1 if a goal was missed. The data are in a temporary directory (`TMPDIR`, or below `--directory`),
 * which is removed at the end.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as BulkCost from "./BulkCost.ts"
import * as Bundle from "./Bundle.ts"
import * as DaemonAlone from "./DaemonAlone.ts"
import * as DaemonPair from "./DaemonPair.ts"
import * as DeltaCost from "./DeltaCost.ts"
import * as HealthWait from "./HealthWait.ts"
import * as InProcess from "./InProcess.ts"
import { entriesPerDomain } from "./PdnsEntries.ts"
import * as PinGrowth from "./PinGrowth.ts"
import * as Proc from "./Proc.ts"
import * as StartTime from "./StartTime.ts"
import * as StatusPage from "./StatusPage.ts"
import { missed, render, type Row } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const keys: ReadonlyArray<string> = [
  ...InProcess.scenarios.map(({ key }) => key),
  "lock",
  "latency",
  "health",
  "deltas",
  "bulk",
  "growth",
  "start",
  "page"
]

const sizes = (text: string): ReadonlyArray<number> =>
  text
    .split(",")
    .map((part) => {
      const domains = Number(part)
      if (!Number.isSafeInteger(domains) || domains < 100 || domains > 10_000_000)
        throw new Error(`expected 100 to 10000000, not ${part}`)
      return domains
    })
    .toSorted((a, b) => a - b)

const chosen = (text: string): ReadonlyArray<string> =>
  text.split(",").map((key) => {
    if (!keys.includes(key)) throw new Error(`expected some of ${keys.join(",")}, not ${key}`)
    return key
  })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const flags = {
  domains: Flag.String("domains").pipe(
    Flag.withDescription("Sizes: 8 entries a domain"),
    Flag.withDefault("100000"),
    Flag.mapTryCatch(sizes, messageOf)
  ),
  only: Flag.String("only").pipe(
    Flag.withDescription(`Scenarios: ${keys.join(",")}`),
    Flag.withDefault(keys.join(",")),
    Flag.mapTryCatch(chosen, messageOf)
  ),
  rounds: Flag.Int("rounds").pipe(
    Flag.withDescription("Times are the median of so many, memory and waits the worst"),
    Flag.withDefault(3)
  ),
  seed: Flag.Int("seed").pipe(Flag.withDescription("Of the generated entries"), Flag.withDefault(1)),
  directory: Flag.String("directory").pipe(Flag.withDescription("Where the temporary directory is made"), Flag.optional)
}

const progress = (text: string) => Effect.sync(() => void process.stderr.write(`${text}\n`))

/** The numbers of entries that goals for changes are set for. */
const small = 80_000
const large = 8_000_000

const modes: ReadonlyArray<Workspace.Mode> = ["native", "shadow"]

/** The measurements with the data of one size and mode. */
interface Part {
  readonly domains: number
  readonly mode: Workspace.Mode
  readonly scenarios: ReadonlyArray<InProcess.Scenario>
  readonly lock: boolean
  readonly latency: boolean
  readonly health: boolean
  readonly deltas: boolean
  readonly bulk: boolean
  readonly growth: boolean
  readonly start: boolean
}

/** Returns the measurements. Changes are also measured with 80,000 entries, and the start only with those. */
const partsOf = (domains: ReadonlyArray<number>, only: ReadonlyArray<string>): ReadonlyArray<Part> => {
  const withLatency = only.includes("latency")
  const withSmall = withLatency || only.includes("start")
  const all = [...new Set(withSmall ? [small / entriesPerDomain, ...domains] : domains)].toSorted((a, b) => a - b)
  const chosenOf = (mode: Workspace.Mode) =>
    InProcess.scenarios.filter((scenario) => scenario.mode === mode && only.includes(scenario.key))
  return all
    .flatMap((size) =>
      modes.map((mode): Part => ({
        domains: size,
        mode,
        scenarios: domains.includes(size) ? chosenOf(mode) : [],
        lock: only.includes("lock") && mode === "native" && domains.includes(size),
        latency: withLatency && mode === "native",
        health: only.includes("health") && mode === "native" && domains.includes(size),
        deltas: only.includes("deltas") && domains.includes(size),
        bulk: only.includes("bulk") && domains.includes(size),
        growth: only.includes("growth") && mode === "native" && domains.includes(size),
        start: only.includes("start") && mode === "native" && size * entriesPerDomain === small
      }))
    )
    .filter(
      (part) =>
        part.scenarios.length > 0 ||
        [part.health, part.latency, part.lock, part.deltas, part.bulk, part.growth, part.start].includes(true)
    )
}

const inProcess = Effect.fnUntraced(function* (
  workspace: Workspace.Workspace,
  scenarios: ReadonlyArray<InProcess.Scenario>,
  rounds: number,
  /** Results of the next smaller size. */
  smaller: Map<string, InProcess.Judged>
) {
  const rows: Array<Row> = []
  for (const scenario of scenarios) {
    yield* progress(`${workspace.entries} entries: ${scenario.title}`)
    const judged = InProcess.judge(
      scenario,
      workspace,
      yield* InProcess.run(scenario, workspace, rounds),
      smaller.get(scenario.key)
    )
    smaller.set(scenario.key, judged)
    rows.push(judged.row)
  }
  return rows
})

const alone = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const rows: Array<Row> = []
  for (const kind of ["fs", "s3"] as const) {
    yield* progress(`${workspace.entries} entries: a daemon alone, ${kind}`)
    rows.push(yield* DaemonAlone.run(workspace, kind))
  }
  return rows
})

const waits = (workspace: Workspace.Workspace) =>
  Effect.andThen(progress(`${workspace.entries} entries: the wait for /healthz`), HealthWait.run(workspace))

const page = Effect.andThen(progress("the status page"), StatusPage.run)

const limitAt = (entries: number, limit: number) =>
  entries >= large ? 6000 : entries <= 1.1 * small ? limit : undefined

const polls = [
  { pollMillis: 1000, limit: 1200 },
  { pollMillis: 100, limit: 300 }
]

const pairs = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const rows: Array<Row> = []
  for (const { limit, pollMillis } of polls) {
    yield* progress(`${workspace.entries} entries: two daemons, polls of ${pollMillis} ms`)
    const entries = workspace.domains * entriesPerDomain
    rows.push(
      yield* DaemonPair.run(workspace, {
        pollMillis,
        changes: entries > 2_000_000 ? 6 : 12,
        limit: limitAt(entries, limit)
      })
    )
  }
  return rows
})

/** Rates of an application that writes all the time, in transactions per second. */
const rates = [100, 1_000]

const growth = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  const rows: Array<Row> = []
  for (const rate of rates) {
    yield* progress(`${workspace.entries} entries: ${rate} transactions a second`)
    rows.push(yield* PinGrowth.run(workspace, rate))
  }
  return rows
})

const deltas = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  yield* progress(`${workspace.entries} entries, ${workspace.mode} mode: deltas`)
  return [yield* DeltaCost.run(workspace)]
})

const start = Effect.fnUntraced(function* (workspace: Workspace.Workspace) {
  yield* progress(`${workspace.entries} entries: a command that ends`)
  return [yield* StartTime.run(workspace)]
})

const bulk = Effect.fnUntraced(function* (workspace: Workspace.Workspace, rounds: number) {
  yield* progress(`${workspace.entries} entries, ${workspace.mode} mode: many changes at once`)
  return yield* BulkCost.run(workspace, rounds)
})

Command.make(
  "bench",
  flags,
  Effect.fn(function* ({ domains, directory, only, rounds, seed }) {
    const fs = yield* FileSystem.FileSystem
    const options = Option.isSome(directory) ? { directory: directory.value } : {}
    const temporary = yield* fs.makeTempDirectoryScoped({ ...options, prefix: "lightningstream-bench-" })
    const load = Proc.load()
    yield* progress(`data in ${temporary}`)
    yield* Bundle.build
    const peaks = new Map<string, InProcess.Judged>()
    const { steal, value } = yield* Proc.withSteal(
      Effect.forEach(
        partsOf(domains, only),
        Effect.fnUntraced(function* (part) {
          const workspace = yield* Workspace.make(temporary, part.domains, seed, part.mode)
          const single = yield* inProcess(workspace, part.scenarios, rounds, peaks)
          const lock = part.lock ? yield* alone(workspace) : []
          const pair = part.latency ? yield* pairs(workspace) : []
          const health = part.health ? yield* waits(workspace) : []
          const cost = part.deltas ? yield* deltas(workspace) : []
          const many = part.bulk ? yield* bulk(workspace, rounds) : []
          const grown = part.growth ? yield* growth(workspace) : []
          const started = part.start ? yield* start(workspace) : []
          yield* Workspace.dispose(workspace)
          return { single, lock, pair, health, cost, many, grown, started }
        })
      )
    )
    const pages = only.includes("page") ? yield* page : []
    const tables = [
      value.flatMap(({ single }) => single),
      value.flatMap(({ lock }) => lock),
      value.flatMap(({ pair }) => pair),
      value.flatMap(({ health }) => health),
      value.flatMap(({ cost }) => cost),
      value.flatMap(({ many }) => many),
      value.flatMap(({ grown }) => grown),
      value.flatMap(({ started }) => started),
      pages
    ].filter((rows) => rows.length > 0)
    yield* Console.log(
      `${Proc.machine()}; load before ${load.toFixed(2)}, stolen by the hypervisor ${(100 * steal).toFixed(1)} %; rounds: ${rounds}`
    )
    for (const rows of tables) yield* Console.log(`\n${render(rows)}`)
    const misses = missed(tables.flat())
    if (misses > 0) {
      yield* progress(`${misses} goals missed`)
      yield* Effect.sync(() => void (process.exitCode = 1))
    }
  }, Effect.scoped)
).pipe(
  Command.withDescription("Measures sending, merging, memory and latency against their floors"),
  Command.run({ version: "1" }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
