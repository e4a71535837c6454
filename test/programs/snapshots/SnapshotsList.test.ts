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

const printed = (options: Partial<SnapshotsList.SnapshotsListOptions>) =>
  Stream.mkString(SnapshotsList.lines({ prefix: "", long: false, json: false, time: false, ...options }))

const list = (options: Partial<SnapshotsList.SnapshotsListOptions> = {}) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    for (const [name, size] of objects) {
      const bytes = new Uint8Array(size)
      yield* storage.store(name, { size, read: (start, end) => Stream.make(bytes.slice(start, end)) })
    }
    return yield* printed(options)
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

  it.effect("shows what a delta starts from with --long, and all of a name's parts with --json", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const delta = "main__a__20240101-000000-000000002__GX__F20240101-000000-000000001.pbd.gz"
      const full = "main__a__20240101-000000-000000001__GX__D1.pb.gz"
      for (const name of [delta, full, "zz.txt"]) yield* storage.store(name, { size: 0, read: () => Stream.empty })
      assert.strictEqual(
        yield* printed({ long: true, time: true }),
        ["zz.txt", full, `${delta}\tdelta from 20240101-000000-000000001`]
          .map((line) => `           0\t${line}\n`)
          .join("")
      )
      const base = { database: "main", instance: "a" }
      const [other, ...snapshots] = (yield* printed({ json: true, time: true })).trimEnd().split("\n")
      assert.deepStrictEqual(JSON.parse(other!), { name: "zz.txt", size: 0 })
      assert.deepStrictEqual(
        snapshots.map((line) => JSON.parse(line)),
        [
          { name: full, size: 0, ...base, kind: "snapshot", timestampNano: "1704067200000000001" },
          {
            name: delta,
            size: 0,
            ...base,
            kind: "delta",
            timestampNano: "1704067200000000002",
            fromNano: "1704067200000000001"
          }
        ]
      )
    }).pipe(Effect.provide(StorageMemory.layer))
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
