/**
 * The statistics of the LMDBs for pages, which the worker threads read on demand, at most once a second. A thread that
 * waits for the application's write lock responds late; until then, the last statistics are shown with their age.
 */
import { Clock, type Duration, Effect, Fiber, type Scope } from "effect"
import { type DatabaseInfo, DatabaseError } from "../../services/Database.ts"
import { Settings } from "../../services/Settings.ts"
import type { DaemonState, DatabaseState } from "../sync/facts/DaemonState.ts"

export interface Known {
  readonly info: typeof DatabaseInfo.Type
  /** Mapped memory. Empty if `lmdb_scrape_smaps` is off, and on systems without /proc. */
  readonly mapped: Readonly<Record<string, number>>
  /** Time of reading in milliseconds since the UNIX epoch. */
  readonly at: number
}

export interface Statistics {
  /** The newest statistics, or undefined if there are none yet. */
  readonly known: Known | undefined
  /** Why the last attempt failed. Undefined if it succeeded. */
  readonly problem: string | undefined
  /**
   * Recent growth of the used part of the map in bytes per millisecond, or undefined if it has not grown, or if the
   * samples cover too short a time.
   */
  readonly growth: number | undefined
}

interface Sample {
  readonly at: number
  readonly used: number
}

/** Milliseconds between two samples of the used part of the map, and the number of samples that are kept. */
const sampleMillis = 60_000
const samplesMax = 60
/** Minimum time in milliseconds that the samples must cover to determine the growth. */
const growthMillis = 300_000

const freshMillis = 1_000

/** How long a request waits for a busy thread: if there are no statistics yet, and for newer ones otherwise. */
export interface Patience {
  readonly forAny: Duration.Input
  readonly forNewer: Duration.Input
}

interface Reading {
  known: Known | undefined
  problem: string | undefined
  /** Samples, oldest first. */
  readonly samples: Array<Sample>
  /** Start of the last attempt on the monotonic clock, in milliseconds. */
  begun: number
  fiber: Fiber.Fiber<void> | undefined
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const takeSample = (samples: Array<Sample>, at: number, used: number): void => {
  const last = samples.at(-1)
  if (last !== undefined && at - last.at < sampleMillis) return
  samples.push({ at, used })
  if (samples.length > samplesMax) samples.shift()
}

const growthOf = ([first, ...samples]: ReadonlyArray<Sample>): number | undefined => {
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.at - first.at < growthMillis) return undefined
  return last.used > first.used ? (last.used - first.used) / (last.at - first.at) : undefined
}

const readInto = Effect.fnUntraced(function* (reading: Reading, { sync }: DatabaseState, withMapped: boolean) {
  if (sync === undefined) return
  const { database } = sync
  const result = yield* Effect.result(
    Effect.all([database.info, withMapped ? database.mappedMemory : Effect.succeed({})])
  )
  if (result._tag === "Failure") {
    reading.problem = result.failure instanceof DatabaseError ? result.failure.message : String(result.failure)
    return
  }
  const [info, mapped] = result.success
  const at = yield* Clock.currentTimeMillis
  reading.known = { info, mapped, at }
  takeSample(reading.samples, at, info.used)
  reading.problem = undefined
})

/**
 * Returns the statistics of all databases by name. Attempts that take longer than the request continue in the scope.
 */
export const make = Effect.fnUntraced(function* ({ databases }: DaemonState) {
  const { lmdb_scrape_smaps } = yield* Settings
  const scope = yield* Effect.scope
  const readings = new Map<DatabaseState, Reading>(
    databases.map((database) => [
      database,
      { known: undefined, problem: undefined, samples: [], begun: -Infinity, fiber: undefined }
    ])
  )
  const look = Effect.fnUntraced(function* (database: DatabaseState, reading: Reading, patience: Patience) {
    const now = yield* monotonicMillis
    const isUnderWay = reading.fiber !== undefined && reading.fiber.pollUnsafe() === undefined
    if (!isUnderWay && now - reading.begun >= freshMillis) {
      reading.begun = now
      reading.fiber = yield* Effect.forkIn(readInto(reading, database, lmdb_scrape_smaps), scope)
    }
    const limit = reading.known === undefined ? patience.forAny : patience.forNewer
    if (reading.fiber !== undefined) yield* Effect.timeoutOption(Fiber.await(reading.fiber), limit)
    const { known, problem, samples } = reading
    return [database.name, { known, problem, growth: growthOf(samples) }] as const
  })
  return (patience: Patience) =>
    Effect.map(
      Effect.forEach(readings, ([database, reading]) => look(database, reading, patience), {
        concurrency: "unbounded"
      }),
      (all): ReadonlyMap<string, Statistics> => new Map(all)
    )
}) satisfies (state: DaemonState) => Effect.Effect<unknown, never, Scope.Scope | Settings>

export type ReadStatistics = Effect.Success<ReturnType<typeof make>>
