import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { suite, textOf } from "../../contracts/storage-contract.ts"

suite("memory", StorageMemory.layer)

describe("StorageMemory", () => {
  it.effect("each build of the layer is a store of its own", () =>
    Effect.gen(function* () {
      const fresh = Effect.map(Layer.build(Layer.fresh(StorageMemory.layer)), (context) =>
        Context.get(context, Storage)
      )
      const first = yield* fresh
      const second = yield* fresh
      yield* first.store("only-here", textOf("x"))
      assert.deepStrictEqual(yield* second.list(""), [])
    })
  )
})
