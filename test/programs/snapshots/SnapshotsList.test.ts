import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SnapshotsList from "../../../src/programs/snapshots/SnapshotsList.ts"
import { Storage } from "../../../src/services/Storage.ts"

const objects: ReadonlyArray<readonly [string, number]> = [
  ["main__b__20240101-000000-000000001__GX.pb.gz", 5],
  ["main__a__20240101-000000-000000002__GX.pb.gz", 123_456],
  ["zz.txt", 1],
  ["other__c__20231231-000000-000000000__GX.pb.gz", 0],
  ["directory/file", 10]
]

const list = (options: Partial<Parameters<typeof SnapshotsList.lines>[0]> = {}) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    for (const [name, size] of objects) {
      const bytes = new Uint8Array(size)
      yield* storage.store(name, { size, read: (start, end) => Stream.make(bytes.slice(start, end)) })
    }
    return yield* Stream.mkString(SnapshotsList.lines({ prefix: "", long: false, time: false, ...options }))
  }).pipe(Effect.provide(StorageMemory.layer))

describe("snapshots list", () => {
  it.effect("every object by name, whoever it belongs to", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* list(),
        `${objects
          .map(([name]) => name)
          .toSorted()
          .join("\n")}\n`
      )
    })
  )

  it.effect("with --prefix only names that begin with it, and nothing when there are none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* list({ prefix: "main__a" }), "main__a__20240101-000000-000000002__GX.pb.gz\n")
      assert.strictEqual(yield* list({ prefix: "no" }), "")
    })
  )

  it.effect("with --long the size, right-aligned to 12, a tab, and the name", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* list({ prefix: "main", long: true }),
        "      123456\tmain__a__20240101-000000-000000002__GX.pb.gz\n           5\tmain__b__20240101-000000-000000001__GX.pb.gz\n"
      )
    })
  )

  it.effect("with --time by the snapshots' time, what is no snapshot first", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* list({ time: true })).split("\n").slice(0, -1), [
        "directory/file",
        "zz.txt",
        "other__c__20231231-000000-000000000__GX.pb.gz",
        "main__b__20240101-000000-000000001__GX.pb.gz",
        "main__a__20240101-000000-000000002__GX.pb.gz"
      ])
    })
  )
})
