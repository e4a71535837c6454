import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
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

  it.effect("names the permission of each operation, and only those that are missing", () =>
    Effect.gen(function* () {
      const { add, clear } = yield* StorageFaults.StorageFaults
      const { store } = yield* Storage
      yield* store("thing", { size: 1, read: () => Stream.make(new Uint8Array(1)) })
      const reason = new Refused({ code: "403", detail: "denied", advice: "check the access" })
      const actions = {
        list: "s3:ListBucket",
        store: "s3:PutObject",
        load: "s3:GetObject",
        delete: "s3:DeleteObject"
      } as const
      for (const operation of ["list", "store", "load", "delete"] as const) {
        yield* add({ operation }, { kind: "fail", reason })
        const refused = (yield* PermissionsCheck.findings("a", "s3", true)).filter(({ level }) => level !== "ok")
        assert.lengthOf(refused, 1, operation)
        const { level, todo, what } = refused[0]!
        assert.strictEqual(level, "error")
        const name = { list: "list", store: "put", load: "get", delete: "delete" }[operation]
        assert.isTrue(what.startsWith(`${name} is refused: `), what)
        assert.include(todo, actions[operation])
        yield* clear
      }
      // Without the permission to put, an object that is there is loaded.
      for (const operation of ["store", "load"] as const) yield* add({ operation }, { kind: "fail", reason })
      const found = yield* PermissionsCheck.findings("a", "s3", true)
      assert.deepStrictEqual(
        found.map(({ level, what }) => `${level} ${what.split(" ", 2).join(" ")}`),
        ["ok list works:", "error put is", "error get is"]
      )
    }).pipe(Effect.provide(StorageFaults.layer.pipe(Layer.provideMerge(StorageMemory.layer))))
  )
})
