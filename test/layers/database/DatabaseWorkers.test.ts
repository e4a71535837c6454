/** What only worker threads can do: keep the main thread free, die, and be shared. */
import { assert, describe, it } from "@effect/vitest"
import { NodeFileSystem, NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, Fiber, Layer } from "effect"
import { gapsDuring } from "../../../bench/EventLoop.ts"
import * as DatabasesWorker from "../../../src/layers/database/DatabasesWorker.ts"
import { Database } from "../../../src/services/Database.ts"
import { Databases } from "../../../src/services/Databases.ts"
import { execute } from "../../support/Command.ts"
import { object } from "../../support/fixtures/Snapshots.ts"
import { pathOf } from "../../support/servers/RealServers.ts"
import {
  inline,
  largeObject,
  type LayerOf,
  mergeObject,
  newOptions,
  spool,
  spooled,
  worker,
  workers
} from "../../support/fakes/DatabaseLayers.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"

/**
 * While another process holds the lock for so long, a merge wants it. Milliseconds that this thread's event loop was
 * blocked for at the longest.
 */
const blockedUnderLock = (layerOf: LayerOf, millis: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const options = yield* newOptions()
      return yield* Effect.gen(function* () {
        const { changes } = yield* Database
        const application = yield* LmdbApplication.make({ path: options.lmdb.path, mapSize: 2 ** 30 })
        yield* mergeObject(object({ a: [["k", 1, "v"]] }))
        yield* application.send({ do: "holdFor", millis })
        const { loopBlockedMillis } = yield* gapsDuring(mergeObject(object({ a: [["k", 2, "newer"]] })))
        assert.strictEqual((yield* changes).last, 2n)
        return loopBlockedMillis
      }).pipe(Effect.provide(Layer.merge(layerOf(options), spool)))
    })
  )

/** See event-loop.ts. V8 has no threads of its own there, whose locks could be waited for. */
const blockedByPuts = Effect.fnUntraced(function* (layer: "inline" | "worker", file: string) {
  const { code, err, out } = yield* execute([
    process.execPath,
    "--no-warnings",
    "--single-threaded",
    pathOf("../processes/event-loop.process.ts"),
    layer,
    file
  ])
  assert.strictEqual(code, 0, err)
  return Number(out)
})

const databases = (pool: ReturnType<typeof workers>) => Layer.merge(Layer.provide(DatabasesWorker.layer, pool), spool)

describe("Database (worker): the main thread", () => {
  it.live("is not blocked while another process holds LMDB's lock that a merge wants", () =>
    Effect.gen(function* () {
      const blocked = (yield* blockedUnderLock(inline, 1_000)) / 1_000
      const free = (yield* blockedUnderLock(worker, 3_000)) / 3_000
      assert.isAbove(blocked, 0.7)
      assert.isBelow(free, blocked / 10)
    })
  )

  it.live("is not blocked while a million puts are committed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const million = yield* fs.makeTempFileScoped()
      yield* fs.writeFile(million, largeObject(1_000_000))
      const blocked = yield* blockedByPuts("inline", million)
      const free = yield* blockedByPuts("worker", million)
      // A commit takes a tenth of a second, and the machine is not ours alone: a tenth of that would be a bound on its
      // scheduler.
      assert.isBelow(free, blocked / 3, `${free} ms of ${blocked} ms`)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("Database (worker): a thread that dies", () => {
  it.live("fails what is pending, and everything after, as a lost worker", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { open } = yield* Databases
        const dying = yield* open(yield* newOptions({ name: "dying" }))
        const bystander = yield* open(yield* newOptions({ name: "bystander" }))
        const pending = yield* Effect.flip(
          dying.merge({ snapshots: [{ spooled: yield* spooled(object({})), format: "gzip" }] })
        )
        assert.deepStrictEqual([pending.reason._tag, pending.reaction], ["WorkerLost", "end"])
        // Its thread's other environments are still open in the process: they must not be opened again.
        const other = yield* Effect.flip(bystander.changes)
        assert.strictEqual(other.reason._tag, "WorkerLost")
      })
    ).pipe(Effect.provide(databases(workers(1))))
  )

  it.live("takes the databases of the other threads not with it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { open } = yield* Databases
        const dying = yield* open(yield* newOptions({ name: "dying" }))
        const elsewhere = yield* open(yield* newOptions({ name: "elsewhere" }))
        yield* Effect.flip(dying.merge({ snapshots: [{ spooled: yield* spooled(object({})), format: "gzip" }] }))
        assert.strictEqual((yield* elsewhere.changes).last, 0n)
      })
    ).pipe(Effect.provide(databases(workers(2))))
  )
})

describe("Database (worker): calls", () => {
  it.live("a bug in one call fails that call alone, and none that is under way", () => {
    const probe = new Int32Array(new SharedArrayBuffer(8))
    return Effect.scoped(
      Effect.gen(function* () {
        const { open } = yield* Databases
        const endless = yield* open(yield* newOptions({ name: "endless" }))
        const defective = yield* open(yield* newOptions({ name: "defective" }))
        const healthy = yield* open(yield* newOptions({ name: "healthy" }))
        const request = {
          place: (yield* spooled(object({}))).place,
          format: "gzip",
          instanceID: "a",
          hostname: "h",
          newestKnown: 0n
        } as const
        const underWay = yield* Effect.forkChild(
          endless.merge({ snapshots: [{ spooled: yield* spooled(object({})), format: "gzip" }] })
        )
        while (Atomics.load(probe, 0) === 0) yield* Effect.sleep(1)
        const exit = yield* Effect.exit(defective.dump(request))
        assert.strictEqual(exit._tag, "Failure")
        assert.strictEqual((yield* healthy.changes).last, 0n)
        assert.isUndefined(underWay.pollUnsafe())
        yield* Fiber.interrupt(underWay)
        assert.strictEqual(Atomics.load(probe, 1), 1)
      })
    ).pipe(Effect.provide(databases(workers(1, { probe }))))
  })

  it.live("an interruption returns when the engine's finalizers have run", () => {
    const probe = new Int32Array(new SharedArrayBuffer(8))
    return Effect.scoped(
      Effect.gen(function* () {
        const { open } = yield* Databases
        const endless = yield* open(yield* newOptions({ name: "endless" }))
        const fiber = yield* Effect.forkChild(
          endless.merge({ snapshots: [{ spooled: yield* spooled(object({})), format: "gzip" }] })
        )
        while (Atomics.load(probe, 0) === 0) yield* Effect.sleep(1)
        assert.strictEqual(Atomics.load(probe, 1), 0)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(Atomics.load(probe, 1), 1)
      })
    ).pipe(Effect.provide(databases(workers(1, { probe }))))
  })
})

describe("Databases (worker)", () => {
  it.live("one file under two names is refused, by path, by link, and before it is there", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { open } = yield* Databases
        const options = yield* newOptions()
        const missing = yield* Effect.flip(open({ ...options, name: "one", lmdb: { ...options.lmdb, create: false } }))
        assert.strictEqual(missing.reaction, "wait: missing")
        const one = yield* open({ ...options, name: "one" })
        const link = `${options.lmdb.path}-link`
        yield* fs.symlink(options.lmdb.path, link)
        const hard = `${options.lmdb.path}-hard`
        yield* fs.link(options.lmdb.path, hard)
        for (const path of [options.lmdb.path, link, hard]) {
          const error = yield* Effect.flip(open({ ...options, name: "two", lmdb: { ...options.lmdb, path } }))
          assert.deepStrictEqual([error.reason._tag, error.reaction], ["OpenedTwice", "end"])
          assert.include(error.message, `"one"`)
        }
        assert.strictEqual((yield* one.changes).last, 0n)
        yield* open(yield* newOptions({ name: "two" }))
      })
    ).pipe(Effect.provide(Layer.merge(databases(workers(2)), NodeFileSystem.layer)))
  )

  it.live("a file that finds no slot for readers is opened once, however often that is tried", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { open } = yield* Databases
        const options = yield* newOptions()
        const application = yield* LmdbApplication.make({ path: options.lmdb.path, mapSize: 2 ** 24, maxReaders: 1 })
        yield* application.send({ do: "view" })
        const descriptors = Effect.gen(function* () {
          const targets = yield* Effect.forEach(yield* fs.readDirectory("/proc/self/fd"), (fd) =>
            Effect.option(fs.readLink(`/proc/self/fd/${fd}`))
          )
          return targets.filter((target) => target._tag === "Some" && target.value.startsWith(options.lmdb.path)).length
        })
        let first = 0
        for (let attempt = 0; attempt < 5; attempt++) {
          const error = yield* Effect.flip(open(options))
          assert.deepStrictEqual(
            [error.reason._tag === "LmdbError" && error.reason.reason._tag, error.reaction],
            ["ReadersFull", "retry"]
          )
          if (attempt === 0) first = yield* descriptors
        }
        assert.isAbove(first, 0)
        assert.strictEqual(yield* descriptors, first)
        yield* application.kill
        const database = yield* open(options)
        assert.strictEqual((yield* database.changes).last, 0n)
        assert.strictEqual(yield* descriptors, first)
      })
    ).pipe(Effect.provide(Layer.merge(databases(workers(1)), NodeFileSystem.layer)))
  )
})
