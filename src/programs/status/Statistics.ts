/**
 * The statistics of the LMDBs for pages: read by the worker threads, on demand, at most once a second. A thread that
 * waits for the application's write lock answers late: then the last statistics are shown, and how old they are.
 */
import { Clock, type Duration, Effect, Fiber, type Scope } from "effect"
import { type DatabaseInfo, DatabaseError } from "../../services/Database.ts"
import { Settings } from "../../services/Settings.ts"
import type { DaemonState, DatabaseState } from "../sync/facts/DaemonState.ts"

export interface Known {
  readonly info: typeof DatabaseInfo.Type
  /** Empty where lmdb_scrape_smaps is off, and on systems without /proc. */
  readonly mapped: Readonly<Record<string, number>>
  /** Milliseconds since the UNIX epoch. */
  readonly at: number
}

export interface Statistics {
  /** The newest ones; undefined when there are none yet. */
  readonly known: Known | undefined
  /** Why the last attempt failed. */
  readonly problem: string | undefined
  /**
   * Bytes by which the used part of the map has grown in a millisecond, lately; undefined when it has not, or not long
   * enough.
   */
  readonly growth: number | undefined
}

interface Sample {
  readonly at: number
  readonly used: number
}

/** Milliseconds between two samples of the used part of the map, and how many are kept. */
const sampleMillis = 60_000
const samplesMax = 60
/** Of a shorter time nothing is concluded. */
const growthMillis = 300_000

const freshMillis = 1_000

/** How long whoever asks waits for a thread that is busy: without statistics, however old, and for newer ones. */
export interface Patience {
  readonly forAny: Duration.Input
  readonly forNewer: Duration.Input
}

interface Reading {
  known: Known | undefined
  problem: string | undefined
  /** The oldest first. */
  readonly samples: Array<Sample>
  /** Of the monotonic clock, in milliseconds: when the last attempt began. */
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

/** Of all databases, by name. Attempts that take longer go on in the scope. */
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
