import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SnapshotsCheck from "../../../src/programs/doctor/SnapshotsCheck.ts"
import * as CompressionSync from "../../support/fixtures/CompressionSync.ts"
import { epoch, makeBucket } from "../daemon/World.ts"
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
    }).pipe(Effect.provide(Layer.merge(CompressionSync.layer, StorageMemory.layer)))
  )
})
