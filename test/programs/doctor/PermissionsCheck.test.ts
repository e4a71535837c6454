import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as PermissionsCheck from "../../../src/programs/doctor/PermissionsCheck.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as StorageFaults from "../../support/fakes/StorageFaults.ts"
import { settle } from "../daemon/World.ts"

describe("PermissionsCheck", () => {
  it.effect("interrupted, it leaves no probe object in the bucket", () =>
    Effect.gen(function* () {
      const { list } = yield* Storage
      const { add } = yield* StorageFaults.StorageFaults
      yield* add({ operation: "load" }, { kind: "hang" })
      const check = yield* Effect.forkChild(PermissionsCheck.findings("a", true))
      yield* settle
      assert.lengthOf(yield* list(""), 1)
      yield* Fiber.interrupt(check)
      assert.deepStrictEqual(yield* list(""), [])
    }).pipe(Effect.provide(StorageFaults.layer.pipe(Layer.provide(StorageMemory.layer))))
  )
})
