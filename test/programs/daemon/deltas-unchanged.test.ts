/** A commit that changes no entry is no reason to send, in either mode. Source: docs/sync.md, Sending. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { Choices } from "../../simulation/Choices.ts"
import { bytes, put, remove } from "../../support/fixtures/ShadowEnvironments.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { nativeValue } from "../../support/fixtures/Snapshots.ts"
import { type DaemonSetup, makeWorld, pass } from "./World.ts"

const modes = ["native", "shadow"] as const
type Mode = (typeof modes)[number]

const value = (mode: Mode, text: string, time: bigint) =>
  mode === "native" ? nativeValue(time, text) : new Uint8Array(Buffer.from(text))

const keys = Array.from({ length: 40 }, (_, i) => `k${100 + i}`)

/** Values that no compression makes small: a delta is small beside a full snapshot then. */
const firstOf = (key: string): string => {
  const choices = new Choices(Number(key.slice(1)))
  return [choices.next(), choices.next()].join()
}

/** A daemon with entries, which has sent its first snapshot. */
const sending = Effect.fnUntraced(function* (mode: Mode, settings: NonNullable<DaemonSetup["settings"]> = {}) {
  const world = yield* makeWorld()
  const { application, bucket, start } = world
  const write = (key: string, text: string, time: bigint) =>
    application.write((transaction) => {
      const [keyBytes, valueBytes] = [bytes(key), value(mode, text, time)]
      transaction.put(DbiName.fromText("d"), keyBytes, 0, keyBytes.length, valueBytes, 0, valueBytes.length, false)
    })
  yield* application.write((transaction) => transaction.create(DbiName.fromText("d"), 0))
  for (const key of keys) yield* write(key, firstOf(key), 5n)
  const main = { ...SettingsTest.make().lmdbs["main"]!, schema_tracks_changes: mode === "native" }
  const daemon = yield* start({ settings: { lmdbs: { main }, ...settings } })
  yield* pass(2_000)
  const stored = Effect.map(bucket.callsOf("store"), (names) => names.map((name) => SnapshotName.parse(name)!))
  assert.lengthOf(yield* stored, 1)
  return { ...world, daemon, stored, write }
})

describe("A commit that changes no entry", () => {
  for (const mode of modes) {
    it.effect(`that puts what was there is not sent, and the next change is a delta from before, ${mode} mode`, () =>
      Effect.gen(function* () {
        const { daemon, stored, write } = yield* sending(mode)
        yield* write("k103", firstOf("k103"), 5n)
        yield* pass(5_000)
        assert.lengthOf(yield* stored, 1)
        assert.strictEqual(yield* daemon.counted(families.sends, { result: "unchanged" }), 1)
        yield* write("k103", "changed", 6n)
        yield* pass(5_000)
        const [full, delta, ...others] = yield* stored
        assert.lengthOf(others, 0)
        assert.strictEqual(delta!.fromNano, full!.timestampNano)
        const [, sent] = daemon.logged("Stored snapshot")
        assert.strictEqual(sent!.fields["entries"], 1)
      })
    )

    it.effect(`of a DBI that is not synced is not sent, ${mode} mode`, () =>
      Effect.gen(function* () {
        const { application, stored } = yield* sending(mode)
        const own = DbiName.fromText("_sync_own")
        yield* application.write((transaction) => {
          transaction.create(own, 0)
          transaction.put(own, bytes("k"), 0, 1, nativeValue(7n, "v"), 0, nativeValue(7n, "v").length, false)
        })
        yield* pass(5_000)
        assert.lengthOf(yield* stored, 1)
      })
    )

    it.effect(`is sent when it makes a DBI, though that is empty, ${mode} mode`, () =>
      Effect.gen(function* () {
        const { application, daemon, stored } = yield* sending(mode)
        yield* application.write((transaction) => transaction.create(DbiName.fromText("new"), 0))
        yield* pass(5_000)
        assert.lengthOf(yield* stored, 2)
        assert.strictEqual(daemon.logged("Stored snapshot")[1]!.fields["snapshot_kind"], "delta")
      })
    )

    it.effect(`is sent when the forced interval has passed: others see that this one is alive, ${mode} mode`, () =>
      Effect.gen(function* () {
        const { stored, write } = yield* sending(mode, { storage_force_snapshot_interval: Duration.seconds(10) })
        yield* write("k103", firstOf("k103"), 5n)
        yield* pass(5_000)
        assert.lengthOf(yield* stored, 1)
        yield* pass(10_000)
        assert.deepStrictEqual(
          (yield* stored).map(({ kind }) => kind),
          ["snapshot", "delta", "snapshot"]
        )
      })
    )
  }

  it.effect("a removal without a tombstone in native mode is none that a delta could tell", () =>
    Effect.gen(function* () {
      const { application, stored } = yield* sending("native")
      yield* application.write(remove("d", "k103"))
      yield* pass(5_000)
      assert.lengthOf(yield* stored, 1)
    })
  )

  it.effect("a removal in shadow mode is one", () =>
    Effect.gen(function* () {
      const { application, stored } = yield* sending("shadow")
      yield* application.write(remove("d", "k103"))
      yield* pass(5_000)
      assert.lengthOf(yield* stored, 2)
      yield* application.write(put("d", { k104: firstOf("k104") }))
      yield* pass(5_000)
      assert.lengthOf(yield* stored, 2)
    })
  )
})
