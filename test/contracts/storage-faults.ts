/**
 * Tests scripted faults over a layer: each fault makes calls fail as specified, in virtual time if it takes time, and
 * the next call works again.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Storage, StorageError } from "../../src/services/Storage.ts"
import * as Faults from "../support/fakes/StorageFaults.ts"
import { read, textOf } from "./storage-contract.ts"

const operations = ["list", "load", "store", "delete"] as const

export const suite = <E>(title: string, layer: Layer.Layer<Storage, E>) =>
  it.layer(Layer.provideMerge(Faults.layer, layer), { timeout: "30 seconds", excludeTestServices: true })(
    `Scripted faults (${title})`,
    (it) => {
      const calls = Effect.map(Storage, ({ delete: remove, list, load, store }) => ({
        list: Effect.asVoid(list("fault")),
        load: Stream.runDrain(load("faulty")),
        store: Effect.asVoid(store("faulty", textOf("new"))),
        delete: remove("faulty")
      }))

      for (const [name, fault] of Object.entries(Faults.outages)) {
        it.effect(`${name} fails every call, once`, () =>
          Effect.gen(function* () {
            const storage = yield* Storage
            const { add } = yield* Faults.StorageFaults
            const all = yield* calls
            for (const operation of operations) {
              yield* storage.store("faulty", textOf("old"))
              yield* add({ operation }, fault)
              const fiber = yield* Effect.forkChild(Effect.flip(all[operation]))
              // Only the time of the fault is virtual. The layer below responds in real time.
              if (fault.kind === "time out") yield* TestClock.adjust("15 seconds")
              const error = yield* Fiber.join(fiber)
              assert.instanceOf(error, StorageError)
              assert.deepInclude(error, { operation, place: storage.place })
              // A response can only be lost after the call has taken effect.
              if (operation === "store")
                assert.strictEqual(String(yield* read("faulty")), fault.kind === "fail after" ? "new" : "old")
              yield* all[operation]
            }
            assert.deepStrictEqual(yield* storage.list("faulty"), [])
          }).pipe(Effect.provide(TestClock.layer()))
        )
      }

      it.effect("a body that was cut short, or damaged, is what the reader gets", () =>
        Effect.gen(function* () {
          const storage = yield* Storage
          const { add } = yield* Faults.StorageFaults
          yield* storage.store("faulty", textOf("abcdef"))
          yield* add({ operation: "load" }, { kind: "cut", bytes: 3 })
          assert.deepStrictEqual((yield* Effect.flip(read("faulty"))).reason, Faults.unavailable)
          yield* add({ operation: "load" }, { kind: "truncate", bytes: 3 })
          assert.strictEqual(String(yield* read("faulty")), "abc")
          assert.strictEqual(String(yield* read("faulty")), "abcdef")
        }).pipe(Effect.provide(TestClock.layer()))
      )

      it.effect("a listing that lags behind shows what was there then", () =>
        Effect.gen(function* () {
          const storage = yield* Storage
          const { add } = yield* Faults.StorageFaults
          const names = Effect.map(storage.list("lag"), (objects) => objects.map(({ name }) => name))
          yield* storage.store("lag-1", textOf("x"))
          yield* TestClock.adjust("10 seconds")
          yield* storage.store("lag-2", textOf("x"))
          yield* storage.delete("lag-1")
          yield* add({ operation: "list", name: "lag" }, { kind: "list lags", behind: "5 seconds" })
          assert.deepStrictEqual([yield* names, yield* names], [["lag-1"], ["lag-2"]])
        }).pipe(Effect.provide(TestClock.layer()))
      )
    }
  )
