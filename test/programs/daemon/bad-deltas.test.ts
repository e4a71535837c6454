/**
 * Deltas that nobody should have made, each kind by itself: what is good of them is merged or comes with the next full
 * snapshot, what is bad is quarantined with a reason, nothing is lost, and the daemon goes on. Source: docs/sync.md,
 * Receiving.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { Choices } from "../../simulation/Choices.ts"
import { object } from "../../support/fixtures/Snapshots.ts"
import {
  type Bucket,
  deltaNameOf,
  epoch,
  makeBucket,
  makeEnvironment,
  makeWorld,
  nameOf,
  pass,
  type RunningDaemon,
  startDaemon
} from "./World.ts"

type World = Effect.Success<ReturnType<typeof makeWorld>>

const at = (seconds: number) => epoch + seconds * 1_000

const hex = (text: string) => Buffer.from(text).toString("hex")

/** A full snapshot of b with `k0`, and a delta with `k1`. */
const begin = Effect.fnUntraced(function* () {
  const world = yield* makeWorld()
  yield* world.bucket.put("b", at(-20), { d: [["k0", 1, "full"]] })
  yield* world.bucket.putDelta("b", at(-20), at(-19), { d: [["k1", 1, "first"]] })
  const daemon = yield* world.start()
  yield* pass(1_500)
  return { ...world, daemon }
})

/** Whether the DBI has exactly these values, in the order of their keys. */
const holds = Effect.fnUntraced(function* ({ content }: Pick<World, "content">, ...values: ReadonlyArray<string>) {
  const held = (yield* content)["d"] ?? []
  assert.lengthOf(held, values.length, JSON.stringify(held))
  for (const [index, value] of values.entries()) assert.include(held[index]!, hex(value))
})

/** It takes the next delta and the next full snapshot as if nothing had been. `after`: seconds. */
const goesOn = Effect.fnUntraced(function* (bucket: Bucket, world: World, daemon: RunningDaemon, after: number) {
  yield* bucket.put("b", at(after), { d: [["k8", 8, "next full"]] })
  yield* bucket.putDelta("b", at(after), at(after + 1), { d: [["k9", 9, "next delta"]] })
  yield* pass(3_000)
  const held = ((yield* world.content)["d"] ?? []).join()
  assert.include(held, hex("next full"))
  assert.include(held, hex("next delta"))
  assert.isUndefined(yield* daemon.ended)
})

const quarantined = (daemon: RunningDaemon) =>
  daemon.logged("Snapshot quarantined", "Error").map(({ fields }) => [fields["snapshot_name"], fields["error"]])

describe("Deltas of another instance", () => {
  it.effect("that overlap are merged: what both hold is merged twice, and nothing is skipped", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      yield* bucket.putDelta("b", at(-19), at(-15), { d: [["k2", 1, "second"]] })
      yield* bucket.putDelta("b", at(-17), at(-13), {
        d: [
          ["k2", 1, "second"],
          ["k3", 1, "third"]
        ]
      })
      yield* bucket.putDelta("b", at(-20), at(-12), { d: [["k4", 1, "fourth"]] })
      yield* pass(2_000)
      yield* holds(world, "full", "first", "fourth")
      yield* bucket.putDelta("b", at(-16), at(-11), { d: [["k3", 1, "third"]] })
      yield* pass(2_000)
      yield* holds(world, "full", "first", "third", "fourth")
      assert.deepStrictEqual(quarantined(daemon), [])
      yield* goesOn(bucket, world, daemon, 10)
    })
  )

  it.effect("that start in the future are waited for, then merged as they are, and hide nothing that comes", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      yield* bucket.putDelta("b", at(3_600), at(3_601), { d: [["k2", 1, "future"]] })
      yield* pass(5_000)
      yield* holds(world, "full", "first")
      yield* pass(8_000)
      yield* holds(world, "full", "first", "future")
      assert.lengthOf(daemon.logged("An object before a delta is missing", "Warn"), 1)
      yield* goesOn(bucket, world, daemon, 20)
    })
  )

  it.effect("that end before they start are nobody's: they are neither read nor quarantined", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      yield* bucket.putDelta("b", at(-10), at(-12), { d: [["k2", 1, "backwards"]] })
      yield* pass(15_000)
      yield* holds(world, "full", "first")
      assert.notInclude(yield* bucket.callsOf("load"), deltaNameOf("b", at(-10), at(-12)))
      assert.deepStrictEqual(quarantined(daemon), [])
      yield* goesOn(bucket, world, daemon, 20)
    })
  )

  it.effect("that name a start that never was are followed by whoever is past it, and wait for a way otherwise", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      // Whoever has merged all up to -19 has merged all up to -19.5.
      yield* bucket.putDelta("b", at(-19.5), at(-18), { d: [["k2", 1, "from before"]] })
      yield* pass(1_500)
      yield* holds(world, "full", "first", "from before")
      yield* bucket.putDelta("b", at(-17.5), at(-16), { d: [["k3", 1, "from after"]] })
      yield* pass(5_000)
      yield* holds(world, "full", "first", "from before")
      yield* pass(8_000)
      yield* holds(world, "full", "first", "from before", "from after")
      yield* goesOn(bucket, world, daemon, 20)
    })
  )

  it.effect("without entries are merged, and those behind them", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      yield* bucket.putDelta("b", at(-19), at(-18), {})
      yield* bucket.putDelta("b", at(-18), at(-17), { d: [["k2", 1, "behind"]] })
      yield* pass(1_500)
      yield* holds(world, "full", "first", "behind")
      assert.deepStrictEqual(quarantined(daemon), [])
      yield* goesOn(bucket, world, daemon, 10)
    })
  )

  for (const [kind, bytes] of [
    ["empty objects", () => new Uint8Array(0)],
    ["corrupt", () => object({ d: [["k2", 1, "broken"]] }).fill(0, 30, 40)],
    ["cut off", () => object({ d: [["k2", 1, "broken"]] }).subarray(0, 40)]
  ] as const) {
    it.effect(`that are ${kind} are quarantined with a reason after two downloads`, () =>
      Effect.gen(function* () {
        const world = yield* begin()
        const { bucket, daemon } = world
        const name = deltaNameOf("b", at(-19), at(-18))
        yield* bucket.store(name, bytes())
        yield* pass(5_000)
        const [first, ...others] = quarantined(daemon)
        assert.lengthOf(others, 0)
        assert.strictEqual(first![0], name)
        assert.isNotEmpty(first![1])
        assert.lengthOf(
          (yield* bucket.callsOf("load")).filter((each) => each === name),
          2
        )
        yield* holds(world, "full", "first")
        yield* goesOn(bucket, world, daemon, 10)
      })
    )
  }

  it.effect("that are enormous are merged whole: larger than what the winners of a merge may take in memory", () =>
    Effect.gen(function* () {
      const world = yield* begin()
      const { bucket, daemon } = world
      const large = "v".repeat(1_000_000)
      const lines = Array.from({ length: 36 }, (_, i) => [`large-${100 + i}`, 2, large] as const)
      yield* bucket.putDelta("b", at(-19), at(-18), { d: lines })
      yield* pass(3_000)
      assert.lengthOf((yield* world.content)["d"]!, 38)
      yield* goesOn(bucket, world, daemon, 10)
    })
  )
})

/** What an instance has stored, in order. */
const storedBy = (bucket: Bucket, instance: string) =>
  Effect.map(bucket.callsOf("store"), (names) =>
    names.map((name) => SnapshotName.parse(name)!).filter((name) => name.instance === instance)
  )

/** Values that no compression makes small: a delta is small beside a full snapshot then. */
const lines = (prefix: string, count = 40) => {
  const choices = new Choices(prefix.length)
  return Array.from({ length: count }, (_, i) => [`${prefix}${100 + i}`, 5, String(choices.next())] as const)
}

describe("Fleets with deltas", () => {
  it.effect("whose sender's clock is set back between two deltas: names go on, and nothing is lost", () =>
    Effect.gen(function* () {
      const bucket = yield* makeBucket
      const [here, there] = [makeEnvironment(), makeEnvironment()]
      let skew = 0
      yield* here.put({ d: lines("k", 200) })
      const settings = { delta_snapshots: "always" } as const
      const setup = { bucket, environments: { main: here }, settings: { ...settings, instance: "here" } }
      const sender = yield* startDaemon({ ...setup, skew: () => skew })
      yield* startDaemon({ bucket, environments: { main: there }, settings: { ...settings, instance: "there" } })
      yield* pass(3_000)
      yield* here.put({ d: [["k107", 6, "before"]] })
      yield* pass(3_000)
      skew = -3_600_000
      yield* here.put({ d: [["k108", 6, "after"]] })
      yield* pass(3_000)
      yield* here.put({ d: [["k109", 6, "later"]] })
      yield* pass(3_000)
      const names = yield* storedBy(bucket, "here")
      assert.deepStrictEqual(
        names.map(({ kind }) => kind),
        ["snapshot", "delta", "delta", "delta"]
      )
      for (const [index, { fromNano, timestampNano }] of names.entries()) {
        if (index === 0) continue
        assert.strictEqual(fromNano, names[index - 1]!.timestampNano)
        assert.isTrue(timestampNano > names[index - 1]!.timestampNano)
      }
      assert.deepStrictEqual(yield* there.content, yield* here.content)
      assert.isNotEmpty(sender.logged("The clock is behind our own newest snapshot", "Warn"))
    })
  )

  it.effect("with two instances of one name: each merges what the other sends, a third has both", () =>
    Effect.gen(function* () {
      const bucket = yield* makeBucket
      const [one, other, third] = [makeEnvironment(), makeEnvironment(), makeEnvironment()]
      yield* one.put({ d: lines("one-") })
      yield* other.put({ d: lines("other-") })
      const start = (environment: typeof one, instance: string) =>
        startDaemon({
          bucket,
          environments: { main: environment },
          settings: { instance, delta_snapshots: "always", full_snapshot_interval: Duration.minutes(5) }
        })
      const daemons = [yield* start(one, "twin"), yield* start(other, "twin"), yield* start(third, "third")]
      yield* pass(5_000)
      for (let round = 0; round < 4; round++) {
        yield* one.put({ d: [[`one-${100 + round}`, 10 + round, `changed ${round}`]] })
        yield* pass(700)
        yield* other.put({ d: [[`other-${100 + round}`, 10 + round, `changed ${round}`]] })
        yield* pass(2_000)
      }
      yield* pass(20_000)
      const content = yield* one.content
      assert.lengthOf(content["d"]!, 80)
      for (let round = 0; round < 4; round++)
        assert.lengthOf(
          content["d"]!.filter((line) => line.includes(hex(`changed ${round}`))),
          2
        )
      assert.deepStrictEqual(yield* other.content, content)
      assert.deepStrictEqual(yield* third.content, content)
      for (const daemon of daemons) assert.isUndefined(yield* daemon.ended)
      assert.isNotEmpty(daemons[0]!.logged("Foreign snapshot under our instance name", "Warn"))
    })
  )
})

describe("Deltas under our own name", () => {
  it.effect("that somebody else stores are merged, warned about, and sent on by a full snapshot", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.put({ d: lines("k") })
      const daemon = yield* world.start({ settings: { delta_snapshots: "always" } })
      yield* pass(2_000)
      const [full] = yield* storedBy(world.bucket, "a")
      const from = Number(full!.timestampNano / 1_000_000n)
      yield* world.bucket.putDelta("a", from, at(5), { d: [["k200", 1, "foreign"]] })
      // No way leads to it: this process has merged nothing under its own name.
      yield* pass(15_000)
      assert.lengthOf((yield* world.content)["d"]!, 41)
      assert.lengthOf(daemon.logged("Foreign snapshot under our instance name", "Warn"), 1)
      const stored = yield* storedBy(world.bucket, "a")
      assert.strictEqual(stored.at(-1)!.kind, "snapshot")
      assert.isTrue(stored.at(-1)!.timestampNano > BigInt(at(5)) * 1_000_000n)
      assert.include((yield* world.bucket.names).join(), nameOf("a", at(5)).slice(0, 20))
    })
  )
})
