import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ProgressTerminal from "../../../src/layers/process/ProgressTerminal.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SnapshotsCheck from "../../../src/programs/doctor/SnapshotsCheck.ts"
import * as CompressionSync from "../../support/fixtures/CompressionSync.ts"
import { deltaNameOf, epoch, makeBucket, nameOf } from "../daemon/World.ts"
import { Storage } from "../../../src/services/Storage.ts"

describe("SnapshotsCheck", () => {
  it.effect("warns once of the deltas of an instance that cannot be reached", () =>
    Effect.gen(function* () {
      const { put, putDelta, storage } = yield* makeBucket
      yield* put("a", epoch, { d: [["k", 1, "v"]] })
      yield* putDelta("a", epoch, epoch + 1_000, { d: [["k", 2, "v"]] })
      yield* putDelta("b", epoch, epoch + 1_000, { d: [["k", 2, "v"]] })
      yield* putDelta("b", epoch + 1_000, epoch + 2_000, { d: [["k", 2, "v"]] })
      const found = yield* Effect.provideService(SnapshotsCheck.findings("main"), Storage, storage)
      assert.deepStrictEqual(
        found.map(({ level }) => level),
        ["ok", "ok", "warning"]
      )
      assert.match(found[2]!.what, /an object before main__b__20260101-000001-000000000__GX__F.* is missing/)
    }).pipe(Effect.provide(Layer.mergeAll(CompressionSync.layer, StorageMemory.layer, ProgressTerminal.silent)))
  )

  it.effect("does not warn of a gap that only one listing has", () =>
    Effect.gen(function* () {
      const { faults, put, putDelta, storage } = yield* makeBucket
      yield* put("a", epoch, { d: [["k", 1, "v"]] })
      yield* putDelta("a", epoch, epoch + 1_000, { d: [["k", 2, "v"]] })
      yield* putDelta("a", epoch + 1_000, epoch + 2_000, { d: [["k", 3, "v"]] })
      yield* faults.add({ operation: "list" }, { kind: "list hides", name: deltaNameOf("a", epoch, epoch + 1_000) })
      const found = yield* Effect.provideService(SnapshotsCheck.findings("main"), Storage, storage)
      assert.deepStrictEqual(
        found.map(({ level }) => level),
        ["ok", "ok", "ok"]
      )
    }).pipe(Effect.provide(Layer.mergeAll(CompressionSync.layer, StorageMemory.layer, ProgressTerminal.silent)))
  )

  it.effect("lists again when an object was deleted before it was loaded, and warns if it is still listed then", () =>
    Effect.gen(function* () {
      const { callsOf, faults, put, storage } = yield* makeBucket
      yield* put("a", epoch + 1_000, { d: [["k", 1, "v"]] })
      yield* put("b", epoch, { d: [["k", 1, "v"]] })
      const gone = { kind: "list shows", name: nameOf("a", epoch + 2_000), size: 1 } as const
      const check = Effect.provideService(SnapshotsCheck.findings("main"), Storage, storage)
      yield* faults.add({ operation: "list" }, gone)
      assert.deepStrictEqual(
        (yield* check).map(({ level, what }) => `${level} ${what}`),
        [`ok ${nameOf("a", epoch + 1_000)} is complete, 1 entries`, `ok ${nameOf("b", epoch)} is complete, 1 entries`]
      )
      assert.deepStrictEqual(yield* callsOf("load"), [gone.name, nameOf("b", epoch), nameOf("a", epoch + 1_000)])
      yield* faults.add({ operation: "list", times: Infinity }, gone)
      const [first, second] = yield* check
      assert.strictEqual(first!.level, "warning")
      assert.match(first!.what, /main__a__20260101-000002-.* cannot be loaded: .*no such object/)
      assert.strictEqual(second!.level, "ok")
    }).pipe(Effect.provide(Layer.mergeAll(CompressionSync.layer, StorageMemory.layer, ProgressTerminal.silent)))
  )
})
