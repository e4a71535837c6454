/**
 * A daemon over a real LMDB and a directory as the bucket, with update markers. It kills itself with SIGKILL at one
 * named step of a send, or lets the store fail there, once a file exists that arms it. It runs in one thread, so that
 * the steps inside the engine can be named as well. SteppedDaemon.ts starts it and reads its log lines over the IPC
 * channel.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Duration, Effect, Layer, Logger, Scope, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the check must not yield
import { existsSync } from "node:fs"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as DatabaseInline from "../../../src/layers/database/DatabaseInline.ts"
import * as HealthRegistry from "../../../src/layers/health/HealthRegistry.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import * as Logs from "../../../src/layers/logs/Logs.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as MemoryBudgetPermits from "../../../src/layers/memory/MemoryBudgetPermits.ts"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import * as StorageUpdateMarker from "../../../src/layers/storage/StorageUpdateMarker.ts"
import * as Daemon from "../../../src/programs/Daemon.ts"
import { Database, DatabaseError } from "../../../src/services/Database.ts"
import { Databases } from "../../../src/services/Databases.ts"
import { type ChangeSink, Lmdb, type LmdbError } from "../../../src/services/Lmdb.ts"
import { Storage, StorageError, Unavailable } from "../../../src/services/Storage.ts"
import * as SettingsTest from "../fixtures/SettingsTest.ts"
import type { Kind, SteppedLine, SteppedOptions } from "../steps/SendSteps.ts"

const options: SteppedOptions = JSON.parse(process.argv[2]!)

/** A step that lets the store fail does so once. */
let isOver = false

/** True if the process is to act at this step. */
const isReached = (step: string): boolean => {
  if (isOver || step !== options.step || !existsSync(options.armFile)) return false
  isOver = true
  return true
}

const killAt = (step: string): void => {
  if (isReached(step)) process.kill(process.pid, "SIGKILL")
}

const unavailable = (name: string) =>
  new StorageError({
    operation: "store",
    place: options.bucket,
    name,
    reason: new Unavailable({ code: "Step", detail: "the store fails at this step" })
  })

/** Kills the process at this step of a store, or lets the store fail. */
const at = (step: string, name: string) =>
  Effect.suspend(() => {
    if (!isReached(step)) return Effect.void
    if (options.action === "kill") process.kill(process.pid, "SIGKILL")
    process.send!({ level: "Info", message: "Failing a store", fields: {} } satisfies SteppedLine)
    return unavailable(name)
  })

const kindOf = (name: string): Kind => (name.includes(".pbd.") ? "delta" : "snapshot")

/** Steps below the update marker, where the marker is an object like others. */
const below = Layer.effect(
  Storage,
  Effect.map(Storage, (inner) => {
    let kind: Kind = "snapshot"
    return Storage.of({
      ...inner,
      store: (name, source) => {
        const isMarker = name === StorageUpdateMarker.markerName
        if (!isMarker) kind = kindOf(name)
        if (isMarker)
          return Effect.tap(inner.store(name, source), () =>
            at(`after the update marker of the ${kind}, before its store has returned`, name)
          )
        // Half of the bytes are written at this step.
        const read = (start: number, end: number) => {
          const middle = Math.floor((start + end) / 2)
          const step = Stream.drain(Stream.fromEffect(at(`while the ${kind} is stored`, name)))
          return Stream.concat(Stream.concat(source.read(start, middle), step), source.read(middle, end))
        }
        return at(`before the ${kind} is stored`, name).pipe(
          Effect.andThen(inner.store(name, { ...source, read })),
          Effect.tap(() => at(`after the ${kind} is stored, before its update marker`, name))
        )
      }
    })
  })
)

/** The step above the update marker. */
const above = Layer.effect(
  Storage,
  Effect.map(Storage, (inner) =>
    Storage.of({
      ...inner,
      store: (name, source) =>
        Effect.tap(inner.store(name, source), () => at(`after the store of the ${kindOf(name)} has returned`, name))
    })
  )
)

const storage = above.pipe(
  Layer.provide(StorageUpdateMarker.layerWith({ globalPrefix: "", forceListInterval: Duration.hours(1) })),
  Layer.provide(below),
  Layer.provide(StorageFs.layerWith({ root_path: options.bucket, create: true })),
  Layer.provide(NodeServices.layer)
)

const watched = (sink: ChangeSink): ChangeSink => ({
  ...sink,
  key: (...key) => {
    killAt("while the pages of two states are compared")
    return sink.key(...key)
  }
})

/** The steps inside the engine. */
const stepped = (lmdb: Layer.Layer<Lmdb, LmdbError>) =>
  Layer.effect(
    Lmdb,
    Effect.map(Lmdb, (inner) =>
      Lmdb.of({
        ...inner,
        changes: (before, after, sink) =>
          Effect.suspend(() => {
            killAt("before the pages of two states are compared")
            return Effect.map(inner.changes(before, after, watched(sink)), (walk) => ({
              ...walk,
              run: (deadline: number) => {
                const isDone = walk.run(deadline)
                if (isDone) killAt("before the pin is renewed")
                return isDone
              }
            }))
          }),
        write: (body) =>
          inner
            .write((transaction) =>
              Effect.tap(body(transaction), () =>
                Effect.sync(() => killAt("before the copy to the shadow is committed"))
              )
            )
            .pipe(Effect.tap(() => Effect.sync(() => killAt("after the copy to the shadow is committed"))))
      })
    )
  ).pipe(Layer.provide(lmdb))

const spool = SpoolFile.layerWith({ directory: "/tmp", memoryLimit: 1_000_000 })

const databases = Layer.effect(
  Databases,
  Effect.map(Scope.Scope, (scope) =>
    Databases.of({
      open: Effect.fnUntraced(function* (opened) {
        const layer = DatabaseInline.layerWith(opened).pipe(
          Layer.provide([
            stepped(LmdbNative.layerWith(opened.lmdb)),
            Compressions.layer,
            spool,
            GarbageCollectorV8.layer
          ])
        )
        const context = yield* Layer.buildWithScope(layer, scope).pipe(
          Effect.catchTag("LmdbError", (reason) =>
            Effect.fail(new DatabaseError({ database: opened.name, operation: "open", reason }))
          )
        )
        return yield* Effect.provideContext(Database, context)
      })
    })
  )
)

const quick = Duration.millis(50)

const base = SettingsTest.make().lmdbs["main"]!

const settings = SettingsTest.make({
  instance: options.instance,
  lmdbs: {
    main: {
      ...base,
      path: options.path,
      schema_tracks_changes: options.mode === "native",
      options: { ...base.options, no_subdir: true, create: true, map_size: 2 ** 24 }
    }
  },
  delta_snapshots: options.deltaSnapshots,
  lmdb_poll_interval: quick,
  storage_poll_interval: quick,
  storage_retry_interval: quick
})

const logger = Logger.make<unknown, void>((event) => {
  const { fields, level, message } = Logs.lineOf(event, { secondsSinceStart: 0, stacks: false })
  const line = { level, message, fields: JSON.parse(JSON.stringify(fields)) }
  process.send!(line satisfies SteppedLine)
  if (message === "Stored snapshot") killAt(`after the ${String(fields["snapshot_kind"])} is recorded as sent`)
})

const budget = MemoryBudgetPermits.layerWith({ download: 2, decompress: 2 })

Daemon.run(
  {
    receiveOnly: options.receiveOnly,
    onlyOnce: false,
    onlyDb: [],
    markerFile: undefined,
    acceptStale: false,
    hostname: "host",
    serve: undefined
  },
  Effect.callback<string>((resume) => {
    process.on("disconnect", () => resume(Effect.succeed("disconnect")))
  }),
  () => Effect.void
).pipe(
  Effect.scoped,
  Effect.provide([
    storage,
    databases,
    spool,
    HealthRegistry.layer,
    SettingsTest.layerWith(settings),
    Layer.provide(budget, GarbageCollectorV8.layer)
  ]),
  Effect.provide(Logger.layer([logger])),
  NodeRuntime.runMain
)
