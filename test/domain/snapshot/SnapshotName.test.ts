import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NanoTimestamp from "../../../src/domain/snapshot/NanoTimestamp.ts"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import * as Golden from "../../support/fixtures/Golden.ts"

interface Names {
  readonly database: string
  readonly names: ReadonlyArray<{
    readonly name: string
    readonly valid: boolean
    readonly database?: string
    readonly instance?: string
    readonly timestamp?: string
    readonly timestampNano?: string | null
    readonly generation?: string
    readonly extra?: ReadonlyArray<string>
    readonly extension?: string
    readonly belongsTo?: string | null
  }>
  readonly instanceNames: ReadonlyArray<{ readonly configured: string; readonly instance: string | null }>
}

const names = Golden.readJson<Names>("names.json")

const parsed = (name: string): SnapshotName.SnapshotName => {
  const parts = SnapshotName.parse(name)
  if (parts === undefined) throw new Error(`not a snapshot's name: ${name}`)
  return parts
}

describe("SnapshotName", () => {
  it.effect("reads each golden name, or passes it over", () =>
    Effect.gen(function* () {
      const table = yield* names
      for (const expected of table.names) {
        const actual = SnapshotName.parse(expected.name)
        assert.strictEqual(actual !== undefined, expected.valid, expected.name)
        if (actual === undefined) continue
        assert.deepStrictEqual(
          [
            actual.database,
            actual.instance,
            actual.timestampText,
            actual.generation,
            actual.extras,
            actual.extension,
            actual.text
          ],
          [
            expected.database,
            expected.instance,
            expected.timestamp,
            expected.generation,
            expected.extra,
            expected.extension,
            expected.name
          ],
          expected.name
        )
        const nano = NanoTimestamp.isUnsigned64(actual.timestampNano) ? String(actual.timestampNano) : null
        assert.strictEqual(nano, expected.timestampNano, expected.name)
        assert.strictEqual(
          actual.database === table.database ? table.database : null,
          expected.belongsTo,
          expected.name
        )
      }
    })
  )

  it.effect("replaces what an instance's name may not hold, one sign for each character", () =>
    Effect.gen(function* () {
      for (const { configured, instance } of (yield* names).instanceNames) {
        assert.strictEqual(SnapshotName.instanceText(configured), instance ?? "", configured)
      }
      assert.strictEqual(SnapshotName.instanceText("a😀b"), "a-b")
    })
  )

  it("writes what it reads", () => {
    const text = SnapshotName.format({
      database: "main",
      instance: "vec-a",
      timestampNano: 1709251199025665456n,
      extension: "pb.gz"
    })
    assert.strictEqual(text, "main__vec-a__20240229-235959-025665456__GX.pb.gz")
    assert.strictEqual(parsed(text).timestampNano, 1709251199025665456n)
    assert.isTrue(text.startsWith(SnapshotName.listingPrefix("main")))
  })

  it("knows the container by the extension, and the other way round", () => {
    for (const kind of ["gzip", "zstd"] as const)
      assert.strictEqual(SnapshotName.kind(SnapshotName.extensionOf(kind)), kind)
    assert.strictEqual(SnapshotName.kind("pb"), undefined)
  })

  it("the newest is the one with the latest time, and of two with the same time the same one whatever their order", () => {
    const [a, b, c] = [
      parsed("main__a__20240101-000000-000000001__GX.pb.gz"),
      parsed("main__a__20240101-000000-000000002__GX.pb.gz"),
      parsed("main__a__20240101-000000-000000002__GX__A1.pb.gz")
    ]
    assert.strictEqual(SnapshotName.newest([b, a]), b)
    assert.strictEqual(SnapshotName.newest([b, c]), SnapshotName.newest([c, b]))
    assert.strictEqual(SnapshotName.newest([]), undefined)
    assert.strictEqual(SnapshotName.compare(a, a), 0)
  })
})
