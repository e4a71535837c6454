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
    /** Where a delta starts. */
    readonly from?: string
    readonly readsDeltas?: boolean
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
            actual.text,
            actual.fromNano === undefined ? undefined : String(actual.fromNano),
            actual.kind,
            actual.format,
            actual.readsDeltas
          ],
          [
            expected.database,
            expected.instance,
            expected.timestamp,
            expected.generation,
            expected.extra,
            expected.extension,
            expected.name,
            expected.from,
            expected.from === undefined ? "snapshot" : "delta",
            expected.extension?.endsWith("gz") === true ? "gzip" : "zstd",
            expected.readsDeltas === true
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

  it("passes a name over that has control characters", () => {
    for (const instance of ["a\n", "a\u001b[2J", "a\u009b"]) {
      assert.isUndefined(SnapshotName.parse(`main__${instance}__20240101-000000-000000001__GX.pb.gz`), instance)
    }
    assert.isUndefined(SnapshotName.parse("main__a__20240101-000000-000000001__GX__A\n.pb.gz"))
  })

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
      format: "gzip"
    })
    assert.strictEqual(text, "main__vec-a__20240229-235959-025665456__GX.pb.gz")
    assert.strictEqual(parsed(text).timestampNano, 1709251199025665456n)
    assert.isTrue(text.startsWith(SnapshotName.listingPrefix("main")))
  })

  it("writes the names of deltas, and of full snapshots whose instance reads them", () => {
    const timestampNano = 1709251199025665456n
    const parts = { database: "main", instance: "vec-a", timestampNano }
    const fromNano = timestampNano - 1_000_000_000n
    assert.deepStrictEqual(
      (["gzip", "zstd"] as const).flatMap((format) => [
        SnapshotName.format({ ...parts, format, readsDeltas: false }),
        SnapshotName.format({ ...parts, format, readsDeltas: true }),
        SnapshotName.format({ ...parts, format, fromNano, readsDeltas: true })
      ]),
      [
        "main__vec-a__20240229-235959-025665456__GX.pb.gz",
        "main__vec-a__20240229-235959-025665456__GX__D1.pb.gz",
        "main__vec-a__20240229-235959-025665456__GX__F20240229-235958-025665456.pbd.gz",
        "main__vec-a__20240229-235959-025665456__GX.pb.zst",
        "main__vec-a__20240229-235959-025665456__GX__D1.pb.zst",
        "main__vec-a__20240229-235959-025665456__GX__F20240229-235958-025665456.pbd.zst"
      ]
    )
    const delta = parsed(SnapshotName.format({ ...parts, format: "zstd", fromNano }))
    assert.deepStrictEqual([delta.kind, delta.format, delta.fromNano], ["delta", "zstd", fromNano])
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
