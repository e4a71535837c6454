import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as PermissionsCheck from "../../../src/programs/doctor/PermissionsCheck.ts"
import { Refused, Storage } from "../../../src/services/Storage.ts"
import * as StorageFaults from "../../support/fakes/StorageFaults.ts"
import { settle } from "../daemon/World.ts"

describe("PermissionsCheck", () => {
  it.effect("interrupted, it leaves no probe object in the bucket", () =>
    Effect.gen(function* () {
      const { list } = yield* Storage
      const { add } = yield* StorageFaults.StorageFaults
      yield* add({ operation: "load" }, { kind: "hang" })
      const check = yield* Effect.forkChild(PermissionsCheck.findings("a", "memory", true))
      yield* settle
      assert.lengthOf(yield* list(""), 1)
      yield* Fiber.interrupt(check)
      assert.deepStrictEqual(yield* list(""), [])
    }).pipe(Effect.provide(StorageFaults.layer.pipe(Layer.provide(StorageMemory.layer))))
  )

  it.effect("says what to do about a refusal in the terms of each kind of store", () =>
    Effect.gen(function* () {
      const { add } = yield* StorageFaults.StorageFaults
      const reason = new Refused({ code: "403", detail: "denied", advice: "check the access" })
      const advice = { s3: "s3:", azure: "role Storage Blob Data", fs: "access to the directory" } as const
      for (const type of ["s3", "azure", "fs"] as const) {
        yield* add({ operation: "list" }, { kind: "fail", reason })
        yield* add({ operation: "delete" }, { kind: "fail", reason })
        const found = yield* PermissionsCheck.findings("a", type, true)
        const refused = found.filter(({ level }) => level === "error")
        assert.lengthOf(refused, 2, type)
        for (const { todo = "" } of refused)
          for (const [other, text] of Object.entries(advice))
            assert.strictEqual(todo.includes(text), other === type, `${type}: ${todo}`)
      }
    }).pipe(Effect.provide(StorageFaults.layer.pipe(Layer.provide(StorageMemory.layer))))
  )
})
