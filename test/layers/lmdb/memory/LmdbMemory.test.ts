import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Lmdb } from "../../../../src/services/Lmdb.ts"
import { suite } from "../../../contracts/lmdb-contract.ts"
import { take } from "../../../support/fakes/LmdbApplication.ts"

suite("memory", ({ mapSize }) =>
  Effect.sync(() => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment({ mapSize })
    return {
      layer,
      application: (...steps) => application.write((transaction) => steps.forEach(take(transaction))),
      replace: application.replace,
      enlargeMap: application.enlargeMap
    }
  })
)

const a = DbiName.fromText("a")

describe("LmdbMemory", () => {
  it.effect("keeps its content when the layer is built again", () =>
    Effect.gen(function* () {
      const { layer } = LmdbMemory.makeMemoryEnvironment()
      const make = Effect.flatMap(Lmdb, ({ write }) =>
        write((transaction) => Effect.sync(() => transaction.create(a, 0)))
      )
      yield* Effect.provide(make, layer, { local: true })
      const id = yield* Effect.provide(
        Effect.flatMap(Lmdb, ({ lastTransactionId }) => lastTransactionId),
        layer,
        { local: true }
      )
      assert.strictEqual(id, 1n)
    })
  )

  it.effect("an application's write that throws changes nothing", () =>
    Effect.gen(function* () {
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      const error = yield* Effect.flip(
        application.write((transaction) => {
          transaction.create(a, 0)
          transaction.put(a, new Uint8Array(0), 0, 0, new Uint8Array(0), 0, 0, false)
        })
      )
      assert.strictEqual(error.reason._tag, "KeyTooLong")
      yield* Effect.provide(
        Effect.gen(function* () {
          const { lastTransactionId } = yield* Lmdb
          assert.strictEqual(yield* lastTransactionId, 0n)
        }),
        layer
      )
    })
  )

  it.effect("layerWith makes an environment of its own each time", () =>
    Effect.gen(function* () {
      const layer = LmdbMemory.layerWith({ path: "/somewhere" })
      const make = Effect.flatMap(Lmdb, ({ path, write }) =>
        Effect.map(
          write((transaction) => Effect.sync(() => transaction.create(a, 0))),
          ({ id }) => `${path} ${id}`
        )
      )
      assert.strictEqual(yield* Effect.provide(make, layer, { local: true }), "/somewhere 1")
      assert.strictEqual(yield* Effect.provide(make, layer, { local: true }), "/somewhere 1")
    })
  )
})
