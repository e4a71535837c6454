/**
 * `receive` in a bucket that must stay as it is: every store and delete ends the test, wherever it comes from. Source:
 * docs/sync.md, Receive-only.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import * as StorageUpdateMarker from "../../../src/layers/storage/StorageUpdateMarker.ts"
import type { SettingsValues } from "../../../src/services/Settings.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { main, put as putText, remove, shadow } from "../../support/fixtures/ShadowEnvironments.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass } from "./World.ts"

const day = 86_400_000

/**
 * The marker's decorator over a bucket in which every write is a defect, also one that is caught somewhere, and is
 * remembered.
 */
const untouchable = Effect.fnUntraced(function* ({ storage }: Bucket) {
  const writes: Array<string> = []
  const forbid = (what: string) => (name: string) =>
    Effect.die(`${what} "${name}"`).pipe(Effect.tapDefect(() => Effect.sync(() => writes.push(`${what} ${name}`))))
  const guarded = Layer.succeed(Storage, { ...storage, store: forbid("store"), delete: forbid("delete") })
  const marked = StorageUpdateMarker.layerWith({ globalPrefix: "", forceListInterval: Duration.minutes(5) })
  const context = yield* Layer.build(Layer.provide(marked, guarded))
  return { storage: Context.get(context, Storage), writes }
})

const base = SettingsTest.make()
/** All that would write, at once and again and again. */
const eager: Partial<SettingsValues> = {
  storage_force_snapshot_interval: Duration.seconds(2),
  sweeper: {
    ...base.sweeper,
    enabled: true,
    retention_days: 10,
    first_interval: Duration.seconds(1),
    interval: Duration.seconds(1)
  },
  storage: {
    ...base.storage,
    cleanup: {
      ...base.storage.cleanup,
      enabled: true,
      interval: Duration.seconds(1),
      must_keep_interval: Duration.zero,
      remove_old_instances_interval: Duration.seconds(1)
    }
  }
}

const receiveOnly = { receiveOnly: true }
const inShadow: Partial<SettingsValues> = {
  ...eager,
  lmdbs: { main: { ...base.lmdbs["main"]!, schema_tracks_changes: false } }
}

const text = (word: string) => Buffer.from(word).toString("hex")

describe("receive", () => {
  it.effect(
    "never stores or deletes anything, with local changes, a cleaner, a sweeper, the marker and forced snapshots",
    () =>
      Effect.gen(function* () {
        const { bucket, content, put, start } = yield* makeWorld()
        const now = BigInt(epoch) * 1_000_000n
        yield* put({
          d: [
            ["ours", now - 5n, "v"],
            ["swept", 1n, null]
          ]
        })
        // Much that a cleaner would take: replaced ones, a silent instance, our own.
        for (const age of [1, 2, 3])
          yield* bucket.put("b", epoch - age * day, { d: [["b", now - BigInt(age), `${age}`]] })
        yield* bucket.put("a", epoch - day, { d: [["own", now - 9n, "v"]] })
        yield* bucket.put("silent", epoch - 9 * day, { d: [["silent", now - 9n, "v"]] })
        const names = yield* bucket.names
        const { storage, writes } = yield* untouchable(bucket)
        const daemon = yield* start({ storage, settings: eager, options: receiveOnly })
        for (let round = 0; round < 5; round++) {
          yield* pass(4_000)
          yield* put({ d: [[`change-${round}`, now + BigInt(round), "v"]] })
        }
        assert.lengthOf(daemon.logged("Initial sync complete"), 1)
        assert.isUndefined(yield* daemon.ended)
        yield* daemon.stop
        assert.strictEqual(yield* daemon.exitCode, 0, "nothing counts as unsent")
        assert.deepStrictEqual(writes, [])
        assert.deepStrictEqual(yield* bucket.names, names)
        const keys = (yield* content)["d"]!.map((line) => line.split(" ")[0])
        assert.includeMembers(keys, ["ours", "own", "b", "silent", "change-4"].map(text))
        assert.notInclude(keys, text("swept"), "the sweeper works here, too")
        assert.isAbove(daemon.logged("Sweep for stale deleted entries completed").length, 1)
      })
  )

  it.effect("--only-once ends with 0 and without a store, also of an LMDB that nobody has written to", () =>
    Effect.gen(function* () {
      for (const filled of [true, false]) {
        const { bucket, put, start } = yield* makeWorld()
        if (filled) yield* put({ d: [["ours", 5n, "v"]] })
        yield* bucket.put("b", epoch - day, { d: [["b", 6n, "v"]] })
        const { storage, writes } = yield* untouchable(bucket)
        const daemon = yield* start({
          storage,
          settings: { ...eager, sweeper: base.sweeper },
          options: { ...receiveOnly, onlyOnce: true }
        })
        yield* pass(3_000)
        assert.strictEqual(yield* daemon.ended, 0)
        assert.deepStrictEqual(writes, [])
      }
    })
  )

  it.effect("local changes keep their time: they win against older ones of others, and give way to newer ones", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      const { storage } = yield* untouchable(bucket)
      yield* put({
        d: [
          ["newer-here", 50n, "here"],
          ["older-here", 10n, "here"]
        ]
      })
      yield* start({ storage, options: receiveOnly })
      yield* pass(2_000)
      yield* put({ d: [["while-running", 50n, "here"]] })
      yield* bucket.put("b", epoch + 2_000, {
        d: [
          ["newer-here", 20, "there"],
          ["older-here", 20, "there"],
          ["while-running", 20, "there"]
        ]
      })
      yield* pass(3_000)
      assert.deepStrictEqual((yield* content)["d"], [
        `${text("newer-here")} 50 "${text("here")}"`,
        `${text("older-here")} 20 "${text("there")}"`,
        `${text("while-running")} 50 "${text("here")}"`
      ])
    })
  )

  it.effect(
    "in shadow mode local changes get their time in the shadow, keep it, and win against older ones; nothing is written to the bucket",
    () =>
      Effect.gen(function* () {
        const { application, bucket, layer, start } = yield* makeWorld()
        const { storage, writes } = yield* untouchable(bucket)
        const daemon = yield* start({ storage, settings: inShadow, options: receiveOnly })
        yield* pass(1_000)
        yield* application.write(
          putText("d", [
            ["k", "here"],
            ["gone", "here"]
          ])
        )
        yield* bucket.put("b", epoch + 1_500, { e: [["first", 5, "merge"]] })
        yield* pass(2_000)
        const read = Effect.provide(shadow("d"), layer, { local: true })
        const before = yield* read
        assert.lengthOf(before!, 2)
        const times = before!.map((line) => Number(/@(\d+(?:\.\d+)?)ms$/.exec(line)![1]))
        for (const time of times) assert.isTrue(time >= epoch + 1_000 && time <= epoch + 3_000, before!.join())
        yield* application.write(remove("d", "gone"))
        yield* pass(1_000)
        const older = (BigInt(epoch) + 500n) * 1_000_000n
        yield* bucket.put("b", epoch + 4_000, {
          d: [
            ["k", older, "there"],
            ["gone", older, "there"],
            ["new", older, "there"]
          ]
        })
        yield* pass(2_000)
        assert.deepStrictEqual(yield* Effect.provide(main("d"), layer, { local: true }), ["k=here", "new=there"])
        const after = yield* read
        assert.strictEqual(
          after!.find((line) => line.startsWith("k=")),
          before!.find((line) => line.startsWith("k="))
        )
        assert.match(
          after!.find((line) => line.startsWith("gone"))!,
          /^gone deleted @/
        )
        assert.deepStrictEqual(writes, [])
        assert.deepStrictEqual(yield* bucket.names, [nameOf("b", epoch + 1_500), nameOf("b", epoch + 4_000)])
        assert.isUndefined(yield* daemon.ended)
      })
  )
})
