/** What a daemon does with the deltas of others, and with its own at the start. Source: docs/sync.md, Receiving. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import { object, objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { type Bucket, deltaNameOf, epoch, makeWorld, nameOf, pass } from "./World.ts"

type World = Effect.Success<ReturnType<typeof makeWorld>>

const hex = (text: string) => Buffer.from(text).toString("hex")

/** Whether the DBI `d` has exactly these values, in the order of their keys. */
const holds = Effect.fnUntraced(function* ({ content }: World, ...values: ReadonlyArray<string>) {
  const held = (yield* content)["d"] ?? []
  assert.lengthOf(held, values.length, JSON.stringify(held))
  for (const [index, value] of values.entries()) assert.include(held[index]!, hex(value))
})

const stores = ({ callsOf }: Bucket) =>
  Effect.map(callsOf("store"), (names) => names.filter((n) => n.includes("__a__")))

const at = (seconds: number) => epoch + seconds * 1_000

/** A full snapshot of b, and deltas that lead on from it, one second each. */
const chain = Effect.fnUntraced(function* ({ putDelta, put }: Bucket, instance: string, deltas: number) {
  yield* put(instance, epoch - 20_000, { d: [["k0", 1, "full"]] })
  for (let n = 0; n < deltas; n++)
    yield* putDelta(instance, epoch - 20_000 + n * 1_000, epoch - 19_000 + n * 1_000, {
      d: [[`k${n + 1}`, 1, `d${n}`]]
    })
})

describe("Deltas of another instance", () => {
  it.effect(
    "are merged after the full snapshot before them, and as they come; a full one of the same time is not loaded",
    () =>
      Effect.gen(function* () {
        const world = yield* makeWorld()
        const { bucket, start } = world
        yield* chain(bucket, "b", 2)
        const daemon = yield* start()
        yield* pass(1_000)
        yield* holds(world, "full", "d0", "d1")
        assert.lengthOf(daemon.logged("Initial sync complete"), 1)
        yield* bucket.put("b", epoch - 18_000, {
          d: [
            ["k0", 1, "full"],
            ["k1", 1, "d0"],
            ["k2", 1, "d1"]
          ]
        })
        yield* bucket.putDelta("b", epoch - 18_000, epoch + 1_000, { d: [["k1", 2, "changed"]] })
        yield* pass(2_000)
        yield* holds(world, "full", "changed", "d1")
        assert.notInclude(yield* bucket.callsOf("load"), nameOf("b", epoch - 18_000))
        assert.deepStrictEqual(
          daemon.logged("Loaded remote update").map(({ fields }) => fields["kind"]),
          ["snapshot", "delta", "delta", "delta"]
        )
        assert.strictEqual(yield* daemon.counted(families.merges, { kind: "delta", result: "merged" }), 3)
        assert.strictEqual(yield* daemon.counted(families.merges, { kind: "snapshot", result: "merged" }), 1)
      })
  )

  it.effect("are loaded side by side, and merged in order", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 8)
      yield* bucket.faults.add({ operation: "load", times: Infinity }, { kind: "delay", duration: "3 seconds" })
      const daemon = yield* start()
      yield* pass(4_000)
      assert.lengthOf(daemon.logged("Loaded remote update"), 9)
      const times = daemon.logged("Loaded remote update").map(({ fields }) => fields["timestamp"] as string)
      assert.deepStrictEqual(times, times.toSorted())
    })
  )

  it.effect("that a listing does not show yet are waited for: nothing is skipped, and nothing is said", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 3)
      const name = deltaNameOf("b", epoch - 19_000, epoch - 18_000)
      yield* bucket.faults.add({ operation: "list", times: 5 }, { kind: "list hides", name })
      const daemon = yield* start()
      yield* pass(3_500)
      yield* holds(world, "full", "d0")
      assert.lengthOf(daemon.logged("Initial sync complete"), 0)
      assert.isAbove(daemon.lines.length, 0)
      yield* pass(3_000)
      yield* holds(world, "full", "d0", "d1", "d2")
      assert.lengthOf(daemon.logged("Initial sync complete"), 1)
      assert.lengthOf(daemon.logged("An object before a delta is missing"), 0)
    })
  )

  it.effect(
    "without the one before them are merged after 10 listings, which is said once; a full snapshot closes the gap",
    () =>
      Effect.gen(function* () {
        const world = yield* makeWorld()
        const { bucket, start } = world
        yield* chain(bucket, "b", 3)
        yield* bucket.storage.delete(deltaNameOf("b", epoch - 19_000, epoch - 18_000))
        const daemon = yield* start()
        yield* pass(8_500)
        yield* holds(world, "full", "d0")
        yield* pass(3_000)
        yield* holds(world, "full", "d0", "d2")
        assert.lengthOf(daemon.logged("Initial sync complete"), 1)
        // Those that follow come at once.
        yield* bucket.putDelta("b", epoch - 17_000, epoch + 12_000, { d: [["k4", 2, "d4"]] })
        yield* pass(1_500)
        yield* holds(world, "full", "d0", "d2", "d4")
        assert.deepStrictEqual(
          daemon.logged("An object before a delta is missing", "Warn").map(({ fields }) => fields["merged_through"]),
          ["20251231-235941-000000000"]
        )
        assert.deepStrictEqual(yield* daemon.failing, ["main_deltas_missing"])
        assert.strictEqual(yield* daemon.counted(families.deltaGaps, { syncer_instance: "b" }), 1)
        // What was merged beyond the gap does not stand for what is missing.
        yield* bucket.put("b", epoch + 12_000, { d: [["k3", 1, "missing"]] })
        yield* bucket.putDelta("b", epoch + 12_000, epoch + 14_000, { d: [["k5", 3, "d5"]] })
        yield* pass(2_000)
        assert.include(yield* bucket.callsOf("load"), nameOf("b", epoch + 12_000))
        assert.deepStrictEqual(yield* daemon.failing, [])
        assert.lengthOf(daemon.logged("An object before a delta is missing"), 1)
      })
  )

  it.effect("that are corrupt are quarantined, and the path leads around them", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 3)
      const broken = deltaNameOf("b", epoch - 19_000, epoch - 18_000)
      yield* bucket.store(broken, object({ d: [["k2", 1, "d1"]] }).fill(0, 30, 40))
      const daemon = yield* start()
      yield* pass(3_000)
      yield* holds(world, "full", "d0")
      assert.lengthOf(daemon.logged("Snapshot quarantined", "Error"), 1)
      // As the sender stores it for those that were away.
      yield* bucket.putDelta("b", epoch - 20_000, epoch - 17_000, {
        d: [
          ["k1", 1, "d0"],
          ["k2", 1, "d1"],
          ["k3", 1, "d2"]
        ]
      })
      yield* pass(1_500)
      yield* holds(world, "full", "d0", "d1", "d2")
      assert.lengthOf(
        (yield* bucket.callsOf("load")).filter((name) => name === broken),
        2
      )
      assert.lengthOf(daemon.logged("An object before a delta is missing"), 0)
    })
  )

  it.effect("do not hide a full snapshot that they span: another process has sent it under the same name", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 1)
      yield* start({ settings: { storage_poll_interval: Duration.seconds(5) } })
      yield* pass(1_000)
      yield* holds(world, "full", "d0")
      yield* bucket.put("b", epoch + 1_000, { d: [["k2", 1, "of the other process"]] })
      yield* bucket.putDelta("b", epoch - 19_000, epoch + 2_000, { d: [["k3", 1, "of this one"]] })
      yield* pass(6_000)
      yield* holds(world, "full", "d0", "of the other process", "of this one")
    })
  )

  it.effect("that vanish between list and load are passed over: a full snapshot has come in their place", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 1)
      const daemon = yield* start()
      yield* pass(1_000)
      const gone = deltaNameOf("b", epoch - 19_000, epoch - 18_000)
      yield* bucket.faults.add({ operation: "list", times: 1 }, { kind: "list shows", name: gone, size: 3 })
      yield* pass(1_000)
      yield* bucket.put("b", epoch + 1_000, {
        d: [
          ["k1", 1, "d0"],
          ["k2", 2, "v"]
        ]
      })
      yield* pass(2_000)
      yield* holds(world, "full", "d0", "v")
      assert.deepStrictEqual(daemon.logged("", "Error"), [])
    })
  )

  it.effect("of a clock that was ahead do not hide those of the right one, once they are removed", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      const future = epoch + 3_600_000
      yield* bucket.put("b", future, { d: [["k0", 1, "ahead"]] })
      yield* bucket.putDelta("b", future, future + 1_000, { d: [["k1", 1, "ahead"]] })
      yield* start()
      yield* pass(2_000)
      yield* holds(world, "ahead", "ahead")
      for (const name of yield* bucket.names) if (name.includes("__b__")) yield* bucket.storage.delete(name)
      yield* bucket.put("b", epoch, { d: [["k0", 2, "right"]] })
      yield* bucket.putDelta("b", epoch, epoch + 1_000, { d: [["k1", 2, "right"]] })
      yield* pass(2_000)
      yield* holds(world, "right", "right")
      yield* bucket.putDelta("b", epoch + 1_000, epoch + 2_000, { d: [["k2", 2, "goes on"]] })
      yield* pass(2_000)
      yield* holds(world, "right", "right", "goes on")
    })
  )

  it.effect(
    "that make no sense cost no data: empty, overlapping, from the future or a time that never was, or refused",
    () =>
      Effect.gen(function* () {
        const world = yield* makeWorld()
        const { bucket, start } = world
        yield* chain(bucket, "b", 2)
        yield* bucket.putDelta("b", at(-18), at(-17), {})
        yield* bucket.putDelta("b", at(-19.5), at(-16), {
          d: [
            ["k2", 1, "d1"],
            ["k3", 1, "overlaps"]
          ]
        })
        yield* bucket.putDelta("b", at(-16.5), at(-15), { d: [["k4", 1, "from a time that never was"]] })
        yield* bucket.store(deltaNameOf("b", at(-15), at(-14)), new Uint8Array(0))
        yield* bucket.store(
          deltaNameOf("b", at(-15), at(-13)),
          objectOf({ ...snapshot({ d: [["x", 9, "refused"]] }), compatVersion: 4 })
        )
        yield* bucket.putDelta("b", at(3_600), at(3_601), { d: [["k5", 1, "from the future"]] })
        const daemon = yield* start()
        yield* pass(13_000)
        yield* holds(world, "full", "d0", "d1", "overlaps", "from a time that never was", "from the future")
        assert.lengthOf(daemon.logged("Snapshot quarantined", "Error"), 2)
        assert.lengthOf(daemon.logged("An object before a delta is missing", "Warn"), 1)
        assert.isUndefined(yield* daemon.ended)
        // A full snapshot of a time in between is not hidden by the one from the future.
        yield* bucket.put("b", at(14), { d: [["k6", 1, "later"]] })
        yield* pass(2_000)
        assert.include((yield* world.content)["d"]!.join(), hex("later"))
      })
  )
})

describe("Our own deltas", () => {
  it.effect("are all merged at the start, before anything is sent", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, put, start } = world
      yield* put({ d: [["k9", 1, "here"]] })
      yield* chain(bucket, "a", 3)
      yield* bucket.faults.add(
        { operation: "load", name: deltaNameOf("a", epoch - 19_000, epoch - 18_000), times: 1 },
        {
          kind: "delay",
          duration: "4 seconds"
        }
      )
      yield* start()
      yield* pass(3_000)
      assert.deepStrictEqual((yield* stores(bucket)).length, 4)
      yield* pass(3_000)
      yield* holds(world, "full", "d0", "d1", "d2", "here")
      assert.lengthOf(yield* stores(bucket), 5)
    })
  )

  it.effect("of which one is missing hold sending back for 10 listings, then all others are merged first", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, put, start } = world
      yield* put({ d: [["k9", 1, "here"]] })
      yield* chain(bucket, "a", 3)
      yield* bucket.storage.delete(deltaNameOf("a", epoch - 19_000, epoch - 18_000))
      const daemon = yield* start()
      yield* pass(8_500)
      assert.lengthOf(yield* stores(bucket), 4)
      yield* pass(4_000)
      yield* holds(world, "full", "d0", "d2", "here")
      assert.lengthOf(yield* stores(bucket), 5)
      assert.lengthOf(daemon.logged("An object before a delta is missing", "Warn"), 1)
    })
  )

  it.effect("that appear later are foreign: they are merged, warned about, and sent on", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, put, start } = world
      yield* put({ d: [["k9", 1, "here"]] })
      yield* bucket.put("a", epoch - 20_000, { d: [["k0", 1, "full"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      assert.lengthOf(yield* stores(bucket), 2)
      yield* bucket.putDelta("a", epoch - 20_000, epoch + 3_600_000, { d: [["k1", 1, "foreign"]] })
      yield* pass(3_000)
      yield* holds(world, "full", "foreign", "here")
      assert.lengthOf(daemon.logged("Foreign snapshot under our instance name", "Warn"), 1)
      // Under a name that is later than that of the foreign one.
      assert.lengthOf(yield* stores(bucket), 4)
      assert.isAbove((yield* stores(bucket)).toSorted().at(-1)! > nameOf("a", epoch + 3_600_000) ? 1 : 0, 0)
    })
  )
})

describe("--only-once with deltas", () => {
  it.effect("merges the whole path before it ends", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 5)
      const daemon = yield* start({ options: { onlyOnce: true } })
      yield* pass(3_000)
      assert.strictEqual(yield* daemon.ended, 0)
      yield* holds(world, "full", "d0", "d1", "d2", "d3", "d4")
    })
  )

  it.effect("merges all that there is when one is missing, and ends with 1", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket, start } = world
      yield* chain(bucket, "b", 3)
      yield* bucket.storage.delete(deltaNameOf("b", epoch - 20_000, epoch - 19_000))
      const daemon = yield* start({ options: { onlyOnce: true } })
      yield* pass(8_000)
      assert.isUndefined(yield* daemon.ended)
      yield* pass(4_000)
      assert.strictEqual(yield* daemon.ended, 1)
      yield* holds(world, "full", "d1", "d2")
      assert.lengthOf(daemon.logged("1 snapshot(s) were refused, corrupt or missing", "Error"), 1)
    })
  )
})
