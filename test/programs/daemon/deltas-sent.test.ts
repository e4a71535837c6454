/** What a daemon sends with deltas: when deltas, when full snapshots, and from where. Source: docs/sync.md, Sending. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Stream } from "effect"
import { gunzipSync } from "node:zlib"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import { Changes } from "../../../src/services/Database.ts"
import { ChangesUnknown, LmdbError } from "../../../src/services/Lmdb.ts"
import { Choices } from "../../simulation/Choices.ts"
import { replacing } from "../../support/fakes/ReplacedLmdb.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { decode } from "../../support/fixtures/DecodedSnapshot.ts"
import { type Bucket, type DaemonSetup, epoch, makeWorld, pass } from "./World.ts"

type Settings = NonNullable<DaemonSetup["settings"]>

/** Enough that a full snapshot is much larger than one entry. */
const lines = (count: number, timestamp: number) => {
  const choices = new Choices(count)
  return Array.from(
    { length: count },
    (_, i) => [`key-${i}`, timestamp, Array.from({ length: 8 }, () => choices.next()).join("")] as const
  )
}

/** Objects of the daemon that were tried to be stored, in order. */
const objects = (bucket: Bucket) =>
  Effect.map(bucket.callsOf("store"), (names) =>
    names.map((name) => SnapshotName.parse(name)!).filter(({ instance }) => instance === "a")
  )

const millisOf = (nano: bigint) => Number(nano / 1_000_000n) - epoch

/** `full @time`, or `delta @time from time`, in milliseconds since the start. */
const shown = (bucket: Bucket) =>
  Effect.map(objects(bucket), (names) =>
    names.map(({ fromNano, timestampNano }) =>
      fromNano === undefined
        ? `full @${millisOf(timestampNano)}`
        : `delta @${millisOf(timestampNano)} from ${millisOf(fromNano)}`
    )
  )

const keysOf = Effect.fnUntraced(function* ({ storage }: Bucket, name: string) {
  const { dbis } = decode(gunzipSync(Buffer.concat(yield* Stream.runCollect(storage.load(name)))))
  return dbis.flatMap(({ entries }) => entries.map(({ key }) => Buffer.from(key, "hex").toString()))
})

/** An instance that does not read deltas. */
const bucketOfOriginal = (bucket: Bucket) => bucket.put("b", epoch - 3_000, { d: [["theirs", 7, "v"]] })

/** A daemon that has sent its first full snapshot at 0. */
const sending = Effect.fnUntraced(function* (settings: Settings = {}, setup: Partial<DaemonSetup> = {}) {
  const world = yield* makeWorld()
  yield* world.put({ d: lines(200, 5) })
  const daemon = yield* world.start({ ...setup, settings })
  yield* pass(1_000)
  const change = (key: string, timestamp = 6) => world.put({ d: [[key, timestamp, "changed"]] })
  return { ...world, daemon, change }
})

describe("Deltas, sent", () => {
  it.effect("a change is sent as a delta from the object before, with what it has changed", () =>
    Effect.gen(function* () {
      const { bucket, change, daemon } = yield* sending()
      yield* change("key-7")
      yield* pass(2_000)
      yield* change("key-8")
      yield* change("key-9")
      yield* pass(2_000)
      const [full, first, second, ...others] = yield* objects(bucket)
      assert.lengthOf(others, 0)
      assert.isTrue(full!.readsDeltas)
      assert.strictEqual(first!.fromNano, full!.timestampNano)
      assert.strictEqual(second!.fromNano, first!.timestampNano)
      assert.deepStrictEqual(yield* keysOf(bucket, first!.text), ["key-7"])
      assert.deepStrictEqual(yield* keysOf(bucket, second!.text), ["key-8", "key-9"])
      const kinds = daemon.logged("Stored snapshot").map(({ fields }) => fields["snapshot_kind"])
      assert.deepStrictEqual(kinds, ["snapshot", "delta", "delta"])
      assert.strictEqual(yield* daemon.counted(families.storedObjects, { kind: "delta" }), 2)
      assert.strictEqual(yield* daemon.counted(families.storedObjects, { kind: "snapshot" }), 1)
    })
  )

  it.effect("what merges have brought goes along, and sends nothing by itself", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending({ delta_snapshots: "always" })
      yield* bucket.put("b", epoch + 1_000, { d: [["theirs", 7, "v"]] })
      yield* pass(3_000)
      assert.lengthOf(yield* objects(bucket), 1)
      yield* change("key-7")
      yield* pass(2_000)
      const [, delta] = yield* objects(bucket)
      assert.deepStrictEqual(yield* keysOf(bucket, delta!.text), ["key-7", "theirs"])
    })
  )

  it.effect("never: full snapshots alone, which say nothing of deltas, and no pin", () =>
    Effect.gen(function* () {
      const { bucket, change, daemon } = yield* sending({ delta_snapshots: "never" })
      yield* change("key-7")
      yield* pass(2_000)
      const names = yield* objects(bucket)
      assert.deepStrictEqual(
        names.map(({ kind, readsDeltas }) => [kind, readsDeltas]),
        [
          ["snapshot", false],
          ["snapshot", false]
        ]
      )
      assert.strictEqual(yield* daemon.counted(families.trackerPinAge), 0)
    })
  )

  it.effect("auto: each is followed by a full snapshot of its time while an instance does not read deltas", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending()
      yield* change("key-7")
      yield* pass(2_000)
      yield* bucket.put("b", epoch + 3_000, { d: [["theirs", 7, "v"]] })
      yield* pass(3_000)
      yield* change("key-8")
      yield* pass(2_000)
      const names = yield* objects(bucket)
      assert.deepStrictEqual(
        names.map(({ kind }) => kind),
        ["snapshot", "delta", "snapshot", "delta", "snapshot"]
      )
      // At once for what was sent before it was there.
      assert.strictEqual(names[2]!.timestampNano, names[1]!.timestampNano)
      assert.strictEqual(names[4]!.timestampNano, names[3]!.timestampNano)
      assert.strictEqual(names[3]!.fromNano, names[1]!.timestampNano)
      assert.include(yield* keysOf(bucket, names[4]!.text), "key-8")
    })
  )

  it.effect(
    "a full snapshot comes after its interval, when something was sent since, with the time of the last delta",
    () =>
      Effect.gen(function* () {
        const { bucket, change } = yield* sending({ full_snapshot_interval: Duration.seconds(10) })
        yield* pass(15_000)
        assert.lengthOf(yield* objects(bucket), 1)
        yield* change("key-7")
        yield* pass(2_000)
        const [, delta, full, ...others] = yield* objects(bucket)
        assert.lengthOf(others, 0)
        assert.deepInclude(full, { kind: "snapshot", timestampNano: delta!.timestampNano })
        yield* change("key-8")
        yield* pass(5_000)
        assert.lengthOf(yield* objects(bucket), 4)
        yield* pass(8_000)
        const all = yield* objects(bucket)
        assert.lengthOf(all, 5)
        assert.deepInclude(all[4], { kind: "snapshot", timestampNano: all[3]!.timestampNano })
      })
  )

  it.effect("a change of more than half is a full snapshot, and so are many small ones after a while", () =>
    Effect.gen(function* () {
      const { bucket, change, put } = yield* sending({ delta_snapshots: "always" })
      yield* put({ d: lines(120, 7) })
      yield* pass(2_000)
      assert.deepStrictEqual(
        (yield* objects(bucket)).map(({ kind }) => kind),
        ["snapshot", "snapshot"]
      )
      const large = lines(200, 8).map(([, , text]) => text)
      yield* put({ d: [["large", 8, large.join("")]] })
      yield* pass(2_000)
      assert.strictEqual((yield* objects(bucket))[2]!.kind, "snapshot", "one entry of more than half of the bytes")
      for (let i = 0; i < 100; i++) {
        yield* change(`key-${i}`, 10 + i)
        yield* pass(1_000)
      }
      const sizes = new Map((yield* bucket.storage.list("")).map(({ name, size }) => [name, size]))
      const after = (yield* objects(bucket)).slice(3)
      const next = after.findIndex(({ kind }) => kind === "snapshot")
      assert.isAbove(next, 10)
      const bytes = after.slice(0, next).reduce((sum, { text }) => sum + sizes.get(text)!, 0)
      const before = sizes.get((yield* objects(bucket))[2]!.text)!
      assert.isAbove(bytes, before / 2)
      assert.isAtMost(bytes - sizes.get(after[next - 1]!.text)!, before / 2)
      assert.strictEqual(after[next]!.timestampNano, after[next - 1]!.timestampNano)
      // The sixteenth starts from the full snapshot.
      assert.strictEqual(after[15]!.fromNano, (yield* objects(bucket))[2]!.timestampNano)
    })
  )

  it.effect("a store that fails is no start: the next delta has its changes, too", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending({ delta_snapshots: "always" })
      const [full] = yield* objects(bucket)
      yield* bucket.faults.add({ operation: "store", times: 1 }, { kind: "fail", reason: unavailable })
      yield* change("key-7")
      yield* pass(1_500)
      yield* change("key-8")
      yield* pass(20_000)
      const [, failed, stored, ...others] = yield* objects(bucket)
      assert.lengthOf(others, 0)
      assert.notStrictEqual(stored!.timestampNano, failed!.timestampNano)
      assert.strictEqual(stored!.fromNano, full!.timestampNano)
      assert.deepStrictEqual(yield* keysOf(bucket, stored!.text), ["key-7", "key-8"])
      yield* change("key-9")
      yield* pass(2_000)
      assert.strictEqual((yield* objects(bucket))[3]!.fromNano, stored!.timestampNano)
    })
  )

  it.effect("a full snapshot that cannot be stored holds up no deltas, and is tried again", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending({ full_snapshot_interval: Duration.seconds(1) })
      yield* bucket.faults.add(
        { operation: "store", name: /__D1/, times: 1_000 },
        { kind: "fail", reason: unavailable }
      )
      for (const [i, key] of ["key-7", "key-8", "key-9"].entries()) {
        yield* change(key, 10 + i)
        yield* pass(70_000)
      }
      const stored = (yield* bucket.names).map((name) => SnapshotName.parse(name)!)
      assert.deepStrictEqual(
        stored.map(({ kind }) => kind),
        ["snapshot", "delta", "delta", "delta"]
      )
      yield* bucket.faults.clear
      yield* pass(70_000)
      const newest = SnapshotName.newest((yield* bucket.names).map((name) => SnapshotName.parse(name)!))
      const full = (yield* objects(bucket)).at(-1)!
      assert.deepInclude(full, { kind: "snapshot", timestampNano: newest!.timestampNano })
    })
  )

  it.effect("a snapshot of another process under our name makes the next one a full one", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending({ delta_snapshots: "always" })
      yield* bucket.put("a", epoch + 500, { d: [["foreign", 7, "v"]] })
      yield* pass(5_000)
      const [, full] = yield* Effect.map(objects(bucket), (names) =>
        names.filter(({ timestampNano }) => millisOf(timestampNano) !== 500)
      )
      assert.strictEqual(full!.kind, "snapshot")
      yield* change("key-7")
      yield* pass(2_000)
      assert.strictEqual((yield* objects(bucket)).at(-1)!.fromNano, full!.timestampNano)
    })
  )

  it.effect("pages that do not tell what has changed make the next one a full one, with all changes", () =>
    Effect.gen(function* () {
      let isDamaged = false
      const reason = new ChangesUnknown({ detail: "page 7 is no leaf page (flags 0x0)" })
      const { bucket, change, content, daemon } = yield* sending(
        {},
        {
          lmdb: (lmdb) =>
            replacing(lmdb, ({ changes, path }) => ({
              changes: (...views) => (isDamaged ? Effect.fail(new LmdbError({ path, reason })) : changes(...views))
            }))
        }
      )
      const expected: Array<string> = ["full"]
      for (const [key, isDelta] of [
        ["key-1", true],
        ["key-2", false],
        ["key-3", false],
        ["key-4", true]
      ] as const) {
        isDamaged = !isDelta
        yield* change(key)
        yield* pass(2_000)
        expected.push(isDelta ? "delta" : "full")
      }
      assert.deepStrictEqual(
        (yield* shown(bucket)).map((text) => text.split(" ")[0]),
        expected
      )
      const names = yield* objects(bucket)
      assert.includeMembers([...(yield* keysOf(bucket, names[3]!.text))], ["key-1", "key-2", "key-3"])
      assert.strictEqual(names[4]!.fromNano, names[3]!.timestampNano)
      assert.deepStrictEqual(yield* keysOf(bucket, names[4]!.text), ["key-4"])
      const warnings = daemon.logged("Cannot track changes, comparing all entries instead", "Warn")
      assert.lengthOf(warnings, 1, "it is said once")
      assert.include(warnings[0]!.fields["error"], "page 7 is no leaf page")
      assert.isUndefined(yield* daemon.ended)
      assert.lengthOf((yield* content)["d"]!, 200)
    })
  )

  it.effect("the removal of our full snapshot from the bucket makes the next one a full one", () =>
    Effect.gen(function* () {
      const { bucket, change } = yield* sending({ delta_snapshots: "always" })
      yield* change("key-7")
      yield* pass(2_000)
      const [full] = yield* objects(bucket)
      yield* bucket.storage.delete(full!.text)
      yield* pass(2_000)
      yield* change("key-8")
      yield* pass(2_000)
      yield* change("key-9")
      yield* pass(2_000)
      assert.deepStrictEqual(
        (yield* objects(bucket)).map(({ kind }) => kind),
        ["snapshot", "delta", "snapshot", "delta"]
      )
    })
  )

  it.effect("what a full snapshot holds beyond the delta whose time it has is in the next delta", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.put({ d: lines(200, 5) })
      yield* bucketOfOriginal(world.bucket)
      yield* world.start({
        database: (database) => ({
          ...database,
          dump: (request) =>
            request.timestampNano === undefined
              ? database.dump(request)
              : Effect.andThen(Effect.orDie(world.put({ d: [["between", 8, "v"]] })), database.dump(request))
        })
      })
      yield* pass(2_000)
      yield* world.put({ d: [["key-7", 7, "changed"]] })
      yield* pass(1_500)
      const [, , full] = yield* objects(world.bucket)
      assert.include(yield* keysOf(world.bucket, full!.text), "between")
      yield* pass(3_000)
      const next = (yield* objects(world.bucket))[3]!
      assert.strictEqual(next.fromNano, full!.timestampNano)
      assert.deepStrictEqual(yield* keysOf(world.bucket, next.text), ["between"])
    })
  )

  it.effect("the pin follows an application that writes all the time, also while nothing may be sent yet", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.put({ d: lines(200, 5) })
      let looks = 0
      yield* world.start({
        settings: { lmdb_poll_interval: Duration.seconds(10) },
        database: (database) => ({
          ...database,
          touched: Effect.sleep("50 millis"),
          changes: Effect.tap(database.changes, () => Effect.sync(() => void looks++))
        })
      })
      yield* pass(1_000)
      yield* world.put({ d: [["key-7", 7, "changed"]] })
      looks = 0
      yield* pass(8_000)
      assert.isAbove(looks, 50)
      assert.lengthOf(yield* objects(world.bucket), 1)
      yield* pass(3_000)
      assert.lengthOf(yield* objects(world.bucket), 2)
    })
  )

  for (const [renewalMillis, fewest, most] of [
    [1, 20, 40],
    [400, 3, 6]
  ] as const) {
    it.effect(`the pin rests for four times the ${renewalMillis} ms of processor time of a look that waited`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld()
        yield* world.put({ d: lines(200, 5) })
        let looks = 0
        let wait: Duration.Input = 0
        const daemon = yield* world.start({
          settings: { lmdb_poll_interval: Duration.seconds(10) },
          database: (database) => ({
            ...database,
            touched: Effect.sleep("50 millis"),
            // As on a busy machine, on which the thread waits for a core.
            changes: Effect.andThen(
              Effect.suspend(() => Effect.sleep(wait)),
              Effect.map(database.changes, (changes) => {
                looks++
                return new Changes({ ...changes, tracking: { ...changes.tracking!, renewalMillis } })
              })
            )
          })
        })
        yield* pass(1_000)
        yield* world.put({ d: [["key-7", 7, "changed"]] })
        wait = "200 millis"
        looks = 0
        yield* pass(8_000)
        const found = looks
        // An orderly end waits for the look that is under way.
        wait = 0
        yield* daemon.stop
        yield* pass(4_000)
        assert.strictEqual(yield* daemon.ended, 0)
        assert.isAtLeast(found, fewest)
        assert.isAtMost(found, most)
      })
    )
  }

  it.effect("nor does it hold up an orderly end, however long a look took", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.put({ d: lines(200, 5) })
      let look: Duration.Input = 0
      const daemon = yield* world.start({
        settings: { lmdb_poll_interval: Duration.seconds(10) },
        database: (database) => ({
          ...database,
          touched: Effect.sleep("50 millis"),
          // As while the worker waits for the write lock of the application.
          changes: Effect.andThen(
            Effect.suspend(() => Effect.sleep(look)),
            database.changes
          )
        })
      })
      yield* pass(1_000)
      yield* world.put({ d: [["key-7", 7, "changed"]] })
      look = "2 seconds"
      yield* pass(6_000)
      assert.lengthOf(yield* objects(world.bucket), 1)
      look = 0
      yield* daemon.stop
      yield* pass(2_000)
      assert.strictEqual(yield* daemon.ended, 0)
      assert.lengthOf(yield* objects(world.bucket), 2)
    })
  )

  it.effect("the last change of an orderly end is a delta", () =>
    Effect.gen(function* () {
      const { bucket, change, daemon } = yield* sending({ delta_snapshots: "always" })
      yield* change("key-7")
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
      assert.deepStrictEqual(
        (yield* objects(bucket)).map(({ kind }) => kind),
        ["snapshot", "delta"]
      )
    })
  )

  it.effect("an orderly end sends the full snapshot that others wait for", () =>
    Effect.gen(function* () {
      const { bucket, change, daemon } = yield* sending()
      yield* bucketOfOriginal(bucket)
      yield* pass(2_000)
      yield* bucket.faults.add({ operation: "store", name: /__D1/ }, { kind: "hang" })
      yield* change("new")
      yield* pass(2_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
      const names = (yield* bucket.names).map((name) => SnapshotName.parse(name)!)
      const newest = SnapshotName.newest(names.filter(({ instance, kind }) => instance === "a" && kind === "snapshot"))
      assert.include(yield* keysOf(bucket, newest!.text), "new")
    })
  )

  it.effect("an orderly end does not wait for a full snapshot that nobody waits for", () =>
    Effect.gen(function* () {
      const { bucket, change, daemon } = yield* sending({ full_snapshot_interval: Duration.seconds(1) })
      yield* bucket.faults.add(
        { operation: "store", name: /__D1/, times: Infinity },
        { kind: "fail", reason: unavailable }
      )
      yield* change("new")
      yield* pass(2_000)
      yield* daemon.stop
      yield* pass(100)
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )

  it.effect("with --only-once one full snapshot", () =>
    Effect.gen(function* () {
      const { bucket, daemon } = yield* sending({}, { options: { onlyOnce: true } })
      assert.strictEqual(yield* daemon.exitCode, 0)
      assert.deepStrictEqual(yield* shown(bucket), ["full @0"])
    })
  )
})
