/** Reading a restored LMDB back: what is counted, and how far it has come. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as ReadBack from "../../../src/programs/tasks/ReadBack.ts"
import type { ReadBack as Task } from "../../../src/services/LmdbTask.ts"
import { Progress } from "../../../src/services/Progress.ts"
import * as CompressionSync from "../../support/fixtures/CompressionSync.ts"
import { over } from "../../support/fixtures/Environments.ts"
import { copyAt, put, remove, shadowOptions } from "../../support/fixtures/ShadowEnvironments.ts"

const target = { database: "main", lmdb: shadowOptions().lmdb, isNative: false }

const task = (headers: Task["headers"], entries: number): Task => ({
  _tag: "ReadBack",
  target,
  headers,
  entriesMin: entries,
  entriesMax: entries
})

describe("reading back", () => {
  it.effect("shows how many entries it has read, which in shadow mode are those of both sides", () =>
    Effect.gen(function* () {
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      yield* Effect.gen(function* () {
        yield* application.write(put("d", { a: "1", b: "2", c: "3" }))
        yield* copyAt(5)
        yield* application.write(remove("d", "c"))
        yield* copyAt(6)
      }).pipe(Effect.provide(over(layer, shadowOptions(), CompressionSync.layer), { local: true }))
      const works: Array<{ readonly label: string; readonly total: number | undefined; done: number }> = []
      const progress = Layer.succeed(Progress, {
        measure: ({ label, total }) =>
          Effect.sync(() => {
            const work = { label, total, done: 0 }
            works.push(work)
            return { add: (amount: number) => void (work.done += amount) }
          })
      })
      const layers = Layer.mergeAll(layer, progress, Compressions.layer)
      assert.match(yield* Effect.provide(ReadBack.run(task("shadow", 3)), layers), /^d +3 +1 /m)
      assert.match(yield* Effect.provide(ReadBack.run(task("none", 2)), layers), /^d +2 +- /m)
      assert.deepStrictEqual(works, [
        { label: "Reading main back", total: 7, done: 7 },
        { label: "Reading main back", total: 2, done: 2 }
      ])
    })
  )
})
