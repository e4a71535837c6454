/**
 * Everything around a daemon that a test of its programs needs, in this thread and on virtual time: a bucket that can
 * be made to fail, environments in memory, daemons that start and stop, and what they logged. Step the clock in small
 * steps: one large leap can overtake a loop that takes many turns.
 */
import {
  Clock,
  type Context,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  Metric,
  Random,
  References,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import type { MetricFamily } from "../../../src/domain/metrics/MetricFamily.ts"
import * as NanoTimestamp from "../../../src/domain/snapshot/NanoTimestamp.ts"
import * as HealthRegistry from "../../../src/layers/health/HealthRegistry.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as Logs from "../../../src/layers/logs/Logs.ts"
import * as MetricsPrometheus from "../../../src/layers/metrics/MetricsPrometheus.ts"
import * as MemoryBudgetPermits from "../../../src/layers/memory/MemoryBudgetPermits.ts"
import * as SpoolMemory from "../../../src/layers/spool/SpoolMemory.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as Daemon from "../../../src/programs/Daemon.ts"
import * as Status from "../../../src/programs/status/Status.ts"
import { Database, DatabaseError, type DatabaseOptions } from "../../../src/services/Database.ts"
import { Databases } from "../../../src/services/Databases.ts"
import { Health } from "../../../src/services/Health.ts"
import { HttpServer, type Pages } from "../../../src/services/HttpServer.ts"
import { Lmdb, LmdbError, Missing } from "../../../src/services/Lmdb.ts"
import { MemoryBudget } from "../../../src/services/MemoryBudget.ts"
import { ProcessInfo } from "../../../src/services/ProcessInfo.ts"
import { Settings, type SettingsValues } from "../../../src/services/Settings.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as CompressionSync from "../../support/fixtures/CompressionSync.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import * as StorageFaults from "../../support/fakes/StorageFaults.ts"
import { collectorIdle, over, putRaw, raw } from "../../support/fixtures/Environments.ts"
import { type Lines, object, rawDbis } from "../../support/fixtures/Snapshots.ts"
import { contentOf, shown } from "../../support/fixtures/LastWriteWins.ts"

/** 2026-01-01, to begin with: the clock of a test stands at 1970. */
export const epoch = Date.UTC(2026, 0, 1)

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Lets everybody run who can without the clock. */
export const settle = Effect.replicateEffect(Effect.yieldNow, 100, { discard: true })

/** In steps of 100 ms. */
export const pass = (millis: number) =>
  Effect.andThen(
    settle,
    Effect.replicateEffect(Effect.andThen(TestClock.adjust(Math.min(100, millis)), settle), Math.ceil(millis / 100), {
      discard: true
    })
  )

/** An environment, its application, and what it holds. */
export const makeEnvironment = (options: LmdbMemory.MemoryOptions = {}) => {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment(options)
  return {
    layer,
    application,
    put: (lines: Lines) => application.write(putRaw(rawDbis(lines))),
    content: Effect.provide(
      Effect.map(raw, (dbis) => shown(contentOf(dbis))),
      layer,
      { local: true }
    ),
    lastId: Effect.provide(
      Effect.flatMap(Lmdb, ({ lastTransactionId }) => lastTransactionId),
      layer,
      { local: true }
    )
  }
}

export type Environment = ReturnType<typeof makeEnvironment>

/** As a daemon would have stored it. `at`: milliseconds since the UNIX epoch. */
export const nameOf = (instance: string, at: number, database = "main"): string =>
  `${database}__${instance}__${NanoTimestamp.format(BigInt(at) * 1_000_000n)}__GX.pb.gz`

/** A delta from one such time to another, as a daemon would have stored it. */
export const deltaNameOf = (instance: string, from: number, at: number): string => {
  const [fromText, atText] = [from, at].map((millis) => NanoTimestamp.format(BigInt(millis) * 1_000_000n))
  return `main__${instance}__${atText}__GX__F${fromText}.pbd.gz`
}

/** The bucket that all daemons of a test share. */
export const makeBucket = Effect.gen(function* () {
  const context = yield* Layer.build(StorageFaults.layer.pipe(Layer.provide(StorageMemory.layer)))
  const [storage, faults] = yield* Effect.provideContext(Effect.all([Storage, StorageFaults.StorageFaults]), context)
  const store = (name: string, bytes: Uint8Array) =>
    storage.store(name, {
      size: bytes.length,
      read: (start, end) => Stream.succeed(Uint8Array.from(bytes.subarray(start, end)))
    })
  const callsOf = (operation: StorageFaults.Operation) =>
    Effect.map(faults.calls, (calls) => calls.filter((call) => call.operation === operation).map(({ name }) => name))
  return {
    storage,
    faults,
    store,
    /** A snapshot of that instance with this content. */
    put: (instance: string, at: number, lines: Lines, database = "main") =>
      store(nameOf(instance, at, database), object(lines)),
    /** A delta of that instance that holds these. */
    putDelta: (instance: string, from: number, at: number, lines: Lines) =>
      store(deltaNameOf(instance, from, at), object(lines)),
    names: Effect.map(storage.list(""), (objects) => objects.map(({ name }) => name)),
    callsOf
  }
})

export type Bucket = Effect.Success<typeof makeBucket>

export interface DaemonSetup {
  readonly bucket: Bucket
  /** By database. */
  readonly environments: Readonly<Record<string, Environment>>
  readonly settings?: Partial<SettingsValues>
  readonly options?: Partial<Daemon.DaemonOptions>
  /** In place of the bucket's. */
  readonly storage?: Storage["Service"]
  /** Around the environments. */
  readonly lmdb?: (lmdb: Layer.Layer<Lmdb, LmdbError>) => Layer.Layer<Lmdb, LmdbError>
  /** Around what the daemon opens. */
  readonly database?: (database: Database["Service"]) => Database["Service"]
  /** Whether the file is there yet. */
  readonly present?: () => boolean
  /** How far the clock of its machine is ahead, in milliseconds. */
  readonly skew?: number | (() => number)
  /** It has the pages of a daemon with an HTTP server. */
  readonly serves?: boolean
}

const databasesOf = ({
  database: around = (same) => same,
  environments,
  lmdb = (same) => same,
  present = () => true
}: DaemonSetup) =>
  Layer.effect(
    Databases,
    Effect.map(Scope.Scope, (scope) =>
      Databases.of({
        open: Effect.fnUntraced(function* (options: DatabaseOptions) {
          const path = options.lmdb.path
          if (!present()) {
            return yield* new DatabaseError({
              database: options.name,
              operation: "open",
              reason: new LmdbError({ path, reason: new Missing() })
            })
          }
          const layer = over(lmdb(environments[options.name]!.layer), options, CompressionSync.layer)
          const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope).pipe(
            Effect.catchTag("LmdbError", (reason) =>
              Effect.fail(new DatabaseError({ database: options.name, operation: "open", reason }))
            )
          )
          return around(yield* Effect.provideContext(Database, context))
        })
      })
    )
  )

/** Sleeps as the other one does, and tells another time. */
const ahead = (clock: Clock.Clock, millis: () => number): Clock.Clock => ({
  ...clock,
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + millis(),
  currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + millis()),
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + BigInt(millis()) * 1_000_000n,
  currentTimeNanos: Effect.map(clock.currentTimeNanos, (now) => now + BigInt(millis()) * 1_000_000n)
})

const skewOf = ({ skew = 0 }: DaemonSetup) => (typeof skew === "number" ? () => skew : skew)

const processInfo = Layer.succeed(ProcessInfo, {
  facts: {
    version: "0.0.0",
    node: "v0.0.0",
    arch: "amd64",
    os: "linux",
    hostname: "host",
    startedAtMillis: epoch
  },
  use: Effect.succeed({
    cpuSeconds: 1,
    residentBytes: 2,
    anonymousBytes: 3,
    virtualBytes: 4,
    openFiles: 5,
    maxFiles: 6,
    heapUsedBytes: 7,
    heapTotalBytes: 8,
    externalBytes: 9,
    loopDelayP99Millis: 10,
    loopDelayLongestMillis: 11
  })
})

type Registry = Context.Service.Shape<typeof Metric.MetricRegistry>

const countedIn = (
  all: ReadonlyArray<Metric.Metric.Snapshot>,
  name: string,
  labels: Readonly<Record<string, string>>
): number => {
  const found = all.filter(
    ({ attributes, id }) => id === name && Object.entries(labels).every(([key, value]) => attributes?.[key] === value)
  )
  return found.reduce(
    (sum, { state, type }) =>
      sum + Number(type === "Gauge" ? (state as { value: number }).value : (state as { count: number }).count),
    0
  )
}

/** In place of a server: the pages, once they are served, and what the daemon is to be given. */
const makePages = Effect.gen(function* () {
  const served = yield* Deferred.make<Pages>()
  const server = Layer.succeed(HttpServer, { serve: (pages) => Effect.asVoid(Deferred.succeed(served, pages)) })
  const context = yield* Effect.context<Health | MemoryBudget | Settings | Storage>()
  return {
    served,
    serve: (state: Parameters<typeof Status.serve>[0]) =>
      Status.serve(state).pipe(
        Effect.provide([server, MetricsPrometheus.layer, processInfo]),
        Effect.provideContext(context)
      )
  }
})

/** A daemon that runs until it ends by itself, or `stop`, or the end of the scope. */
export const startDaemon = Effect.fnUntraced(function* (setup: DaemonSetup) {
  const { bucket, environments, options, storage = bucket.storage } = setup
  const base = SettingsTest.make()
  const settings = SettingsTest.make({
    lmdbs: Object.fromEntries(
      Object.keys(environments).map((name) => [name, { ...base.lmdbs["main"]!, path: `/memory/${name}` }])
    ),
    ...setup.settings
  })
  const lines: Array<LogLine> = []
  const logger = Logger.make<unknown, void>((event) => {
    const { fields, level, message } = Logs.lineOf(event, { secondsSinceStart: 0, stacks: false })
    lines.push({ level, message, fields })
  })
  const context = yield* Layer.build(
    Layer.mergeAll(
      databasesOf(setup),
      Layer.succeed(Storage, storage),
      MemoryBudgetPermits.layerWith({
        download: settings.memory_downloaded_snapshots,
        decompress: settings.memory_decompressed_snapshots
      }).pipe(Layer.provide(collectorIdle)),
      SpoolMemory.layer,
      HealthRegistry.layer,
      SettingsTest.layerWith(settings)
    )
  )
  const stop = yield* Deferred.make<string>()
  const registry: Registry = new Map()
  const { serve, served } = yield* Effect.provideContext(makePages, context)
  const failures: Array<string> = []
  const run = Daemon.run(
    {
      receiveOnly: false,
      onlyOnce: false,
      onlyDb: [],
      markerFile: undefined,
      acceptStale: false,
      hostname: "host",
      serve: setup.serves === true ? serve : undefined,
      ...options
    },
    Deferred.await(stop),
    (exit) => Effect.sync(() => void failures.push(String(exit)))
  ).pipe(
    Effect.provideContext(context),
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(References.MinimumLogLevel, "Debug"),
    Random.withSeed("daemon"),
    Effect.provideService(Metric.MetricRegistry, registry)
  )
  const fiber = yield* Effect.forkScoped(
    Effect.provideService(run, Clock.Clock, ahead(yield* Clock.Clock, skewOf(setup)))
  )
  // The pages are made with digests of the thread pool, which virtual time does not wait for.
  if (setup.serves === true) yield* Effect.raceFirst(Deferred.await(served), Effect.exit(Fiber.join(fiber)))
  yield* settle
  return {
    failures,
    exitCode: Fiber.join(fiber),
    /** The exit code when it has ended. */
    ended: Effect.sync(() => {
      const exit = fiber.pollUnsafe()
      return exit?._tag === "Success" ? exit.value : exit
    }),
    stop: Effect.andThen(Deferred.succeed(stop, "SIGTERM"), settle),
    kill: Fiber.interrupt(fiber),
    logged: (part: string, level?: string) =>
      lines.filter((line) => line.message.includes(part) && (level === undefined || line.level === level)),
    lines,
    failing: Effect.provideContext(
      Effect.map(
        Effect.flatMap(Health, ({ all }) => all),
        (checks) => checks.map(({ check }) => check)
      ),
      context
    ),
    budget: Effect.provideContext(MemoryBudget, context),
    /** What was counted; `labels` need not be all: series with these are added up. */
    counted: (family: Pick<MetricFamily, "name">, labels: Readonly<Record<string, string>> = {}) =>
      Effect.map(Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry), (all) =>
        countedIn(all, family.name, labels)
      ),
    /** As a client of its server would. */
    get: (path: string) =>
      Effect.flatMap(Deferred.await(served), (pages) => pages[path]!).pipe(
        Effect.provideService(Metric.MetricRegistry, registry)
      )
  }
})

export type RunningDaemon = Effect.Success<ReturnType<typeof startDaemon>>

/** The usual world: one database, one bucket, the clock at `epoch`. */
export const makeWorld = Effect.fnUntraced(function* (options: LmdbMemory.MemoryOptions = {}) {
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const environment = makeEnvironment(options)
  return {
    bucket,
    ...environment,
    start: (setup: Partial<DaemonSetup> = {}) => startDaemon({ bucket, environments: { main: environment }, ...setup })
  }
})
