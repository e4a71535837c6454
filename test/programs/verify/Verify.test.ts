/** `verify` over real LMDBs, and a directory as the bucket: who lacks what. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, FileSystem } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { dbi, type Line, many, nativeValue, objectOf, ofDbis } from "../../support/fixtures/Snapshots.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { countsOf, good, make, nameOf, verdicts, works } from "./VerifySide.ts"

const hex = (text: string) => Buffer.from(text).toString("hex")

const records: ReadonlyArray<Line> = [
  ["alive", 5, "one"],
  ["dead", 6, null],
  ["empty", 7, ""]
]

layer(NodeServices.layer, { excludeTestServices: true })("verify", (it) => {
  it.effect("the same content is the same, whatever else is in headers and containers", () =>
    Effect.gen(function* () {
      const padded = Buffer.concat([nativeValue(5, null, 99).subarray(0, 24), Buffer.alloc(8), Buffer.from("one")])
      padded[17] = 0x80
      padded[23] = 1
      const tombstone = Buffer.concat([nativeValue(6, null, 3), Buffer.from("rest")])
      const local = [
        {
          name: DbiName.fromText("records"),
          flags: 0,
          entries: [
            { key: hex("alive"), value: padded.toString("hex") },
            { key: hex("dead"), value: tombstone.toString("hex") },
            { key: hex("empty"), value: nativeValue(7, "", 12).toString("hex") }
          ]
        },
        { name: DbiName.fromText("_sync_private"), flags: 0, entries: [{ key: "00", value: "00" }] }
      ]
      const split = ofDbis([
        dbi("records", records.slice(2)),
        dbi("_sync_private", [["x", 1, "y"]]),
        dbi("records", records.slice(0, 2)),
        dbi("another", [])
      ])
      const { verify } = yield* make(local, { [nameOf("a", 10)]: { records }, [nameOf("b", 12)]: objectOf(split) })
      const report = yield* verify()
      assert.deepStrictEqual(verdicts(report), [
        "b: a complete",
        "LMDB: a complete",
        "a: b not yet",
        "LMDB: b complete"
      ])
      assert.isTrue(good(report))
      const checked = works.get("Checking snapshots of main")!
      assert.isAbove(checked.total!, 0)
      assert.strictEqual(checked.done, checked.total)
      // One of b's is in a private DBI.
      assert.deepStrictEqual(works.get("Comparing main"), { total: 3 * 3 + 1, done: 3 * 3 })
      const { LMDB, a, b } = countsOf(report, "records")
      assert.deepStrictEqual(a, LMDB)
      assert.deepStrictEqual(b, LMDB)
      assert.deepInclude(LMDB, { entries: 3, tombstones: 1 })
      assert.deepStrictEqual(
        report.dbis.map(({ dbi }) => dbi),
        ["another", "records"]
      )
    })
  )

  it.effect("missing entries, versions that lost, a tombstone that lost and one that is missing", () =>
    Effect.gen(function* () {
      const a: ReadonlyArray<Line> = [
        ["both", 5, "same"],
        ["later", 9, "new"],
        ["missing", 5, "x"],
        ["removed", 9, null],
        ["tie", 5, "a"],
        ["tie-dead", 5, null],
        ["z-unknown-deletion", 3, null]
      ]
      const b: ReadonlyArray<Line> = [
        ["both", 5, "same"],
        ["later", 8, "old"],
        ["removed", 8, "still there"],
        ["tie", 5, "b"],
        ["tie-dead", 5, ""],
        ["won", 50, "only here"]
      ]
      const { verify } = yield* make(
        { records: [["both", 5, "same"]] },
        { [nameOf("a", 10)]: { records: a }, [nameOf("b", 20)]: { records: b } }
      )
      const report = yield* verify("10 seconds")
      assert.strictEqual(verdicts(report)[0], "b: a differs: records -2 <4 later,missing,removed")
      assert.deepStrictEqual(
        report.pairs[0]!.dbis[0]!.examples.map(({ kind }) => kind),
        ["outdated", "missing", "outdated"]
      )
      assert.strictEqual(verdicts(report)[1], "LMDB: a differs: records -6 <0 later,missing,removed")
      assert.isFalse(good(report))
      const counts = countsOf(report, "records")
      assert.notStrictEqual(counts["a"]!.digest, counts["b"]!.digest)
    })
  )

  it.effect("an object that is missing before a delta is told: what comes after it is not compared", () =>
    Effect.gen(function* () {
      const delta = "main__a__20250101-000030-000000000__GX__F20250101-000025-000000000.pbd.gz"
      const { verify } = yield* make({ records }, { [nameOf("a", 10)]: { records }, [delta]: { records } })
      const report = yield* verify()
      const [first, second] = report.places
      assert.deepStrictEqual([first!.objects, first!.problem], [[delta], "an object before this delta is missing"])
      assert.deepStrictEqual(second!.objects, [nameOf("a", 10)])
      assert.deepStrictEqual(verdicts(report), ["LMDB: a complete"])
      assert.isFalse(good(report))
    })
  )

  it.effect("a snapshot is held against another only if it is later by the grace time", () =>
    Effect.gen(function* () {
      const { verify } = yield* make(
        { records },
        { [nameOf("a", 10)]: { records }, [nameOf("b", 15)]: { records: records.slice(0, 1) } }
      )
      const within = yield* verify("5001 millis")
      assert.deepStrictEqual(verdicts(within), ["b: a not yet", "LMDB: a complete", "a: b not yet", "LMDB: b complete"])
      assert.isTrue(good(within))
      const beyond = yield* verify("5 seconds")
      assert.strictEqual(verdicts(beyond)[0], "b: a differs: records -2 <0 dead,empty")
      const future = yield* verify(Duration.days(365 * 200))
      assert.deepStrictEqual(new Set(verdicts(future).map((verdict) => verdict.slice(-7))), new Set(["not yet"]))
    })
  )

  it.effect("tombstones before the sweeper's cut-off do not count, but win still", () =>
    Effect.gen(function* () {
      const swept: ReadonlyArray<Line> = [["alive", 5, "one"]]
      const { verify } = yield* make(
        {
          records: [
            ["alive", 4, "older"],
            ["dead", 6, null]
          ]
        },
        {
          [nameOf("a", 10)]: {
            records: [
              ["alive", 5, null],
              ["dead", 3, "x"]
            ]
          },
          [nameOf("b", 20)]: { records: swept }
        },
        { settings: { sweeper: { ...SettingsTest.make().sweeper, enabled: true } } }
      )
      const report = yield* verify()
      assert.deepStrictEqual(verdicts(report), [
        "b: a differs: records -1 <0 dead",
        "LMDB: a complete",
        "a: b not yet",
        "LMDB: b differs: records -0 <1 alive"
      ])
      assert.deepInclude(countsOf(report, "records")["LMDB"], { entries: 1, tombstones: 0 })
    })
  )

  it.effect("in shadow mode the shadow DBIs are compared", () =>
    Effect.gen(function* () {
      const shadow = [
        { name: DbiName.fromText("records"), flags: 0, entries: [{ key: hex("k"), value: hex("plain") }] },
        {
          name: DbiName.fromText("_sync_shadow_records"),
          flags: 0,
          entries: [{ key: hex("k"), value: nativeValue(5, "plain").toString("hex") }]
        }
      ]
      const { verify } = yield* make(
        shadow,
        { [nameOf("a", 10)]: { records: [["k", 5, "plain"]] } },
        { isShadow: true }
      )
      const report = yield* verify()
      assert.deepStrictEqual(verdicts(report), ["LMDB: a complete"])
      const counts = countsOf(report, "records")
      assert.deepStrictEqual(counts["a"], counts["LMDB"])
    })
  )

  it.effect("more entries than one batch, member or block", () =>
    Effect.gen(function* () {
      const all = many(30_000, 5, 300)
      const { verify } = yield* make(
        { records: all },
        {
          [nameOf("a", 10)]: { records: all },
          [nameOf("b", 20)]: { records: all.with(20_000, ["key-00020000", 4, all[20_000]![2]]) }
        }
      )
      const report = yield* verify()
      assert.strictEqual(verdicts(report)[0], "b: a differs: records -0 <1 key-00020000")
      const counts = countsOf(report, "records")
      assert.deepStrictEqual(counts["a"], counts["LMDB"])
      assert.deepInclude(counts["b"], { entries: 30_000 })
      assert.notStrictEqual(counts["a"]!.digest, counts["b"]!.digest)
    })
  )

  it.effect("the state of an instance is its full snapshot and the deltas after it: the version that wins counts", () =>
    Effect.gen(function* () {
      const delta = nameOf("a", 12).replace(".pb.gz", "__F20250101-000010-000000000.pbd.gz")
      const now: ReadonlyArray<Line> = [
        ["alive", 5, "one"],
        ["dead", 8, null],
        ["empty", 7, ""],
        ["new", 8, "x"]
      ]
      const { verify } = yield* make(
        { records: now },
        {
          [nameOf("a", 10)]: { records },
          [delta]: {
            records: [
              ["dead", 8, null],
              ["empty", 6, "lost"],
              ["new", 8, "x"]
            ]
          },
          [nameOf("b", 20)]: { records }
        }
      )
      const report = yield* verify()
      assert.deepStrictEqual(report.places[0]!.objects, [nameOf("a", 10), delta])
      assert.deepStrictEqual(verdicts(report).slice(0, 2), ["b: a differs: records -1 <1 dead,new", "LMDB: a complete"])
      const counts = countsOf(report, "records")
      assert.deepStrictEqual(counts["a"], counts["LMDB"])
    })
  )

  it.effect("a snapshot that is truncated is said so, and the others are compared", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, put, verify } = yield* make(
        { records },
        { [nameOf("a", 10)]: { records }, [nameOf("b", 20)]: { records: many(5_000, 5, 100) } }
      )
      yield* fs.truncate(`${directory}/bucket/${nameOf("b", 20)}`, 1_000)
      const report = yield* verify()
      assert.isFalse(good(report))
      assert.match(report.places[1]!.problem!, /the snapshot is corrupt: the gzip container is corrupt near byte \d+/)
      assert.deepStrictEqual(verdicts(report), ["LMDB: a complete"])
      yield* put(nameOf("b", 20), objectOf({ ...ofDbis([]), compatVersion: 4 }))
      assert.match((yield* verify()).places[1]!.problem!, /refused: only readers of compatVersion 4/)
    })
  )

  it.effect("of an instance whose newest objects cannot be used, the next-newest state is compared", () =>
    Effect.gen(function* () {
      const whole = objectOf(ofDbis([dbi("records", records)]))
      const delta = nameOf("b", 30)
        .replace("__GX", `__GX__F${nameOf("b", 20).split("__")[2]}`)
        .replace(".pb.", ".pbd.")
      const { put, verify } = yield* make(
        { records },
        {
          [nameOf("a", 5)]: { records: records.slice(0, 1) },
          [nameOf("b", 10)]: { records: [] },
          [nameOf("b", 20)]: { records },
          [delta]: whole.slice(0, -9)
        }
      )
      const ofDelta = yield* verify()
      const names = (report: typeof ofDelta) => report.places.slice(1, -1).map(({ objects }) => objects.join())
      assert.deepStrictEqual(names(ofDelta), [delta, nameOf("b", 20)])
      assert.deepStrictEqual(verdicts(ofDelta).slice(0, 1), ["b: a complete"])
      assert.isFalse(good(ofDelta))
      yield* put(nameOf("b", 20), whole.slice(0, -9))
      const ofBoth = yield* verify()
      // The way to the delta begins with what is corrupt, so it is not looked at.
      assert.deepStrictEqual(names(ofBoth), [nameOf("b", 20), nameOf("b", 10)])
      assert.match(ofBoth.places[1]!.problem!, /the snapshot is corrupt/)
      assert.isUndefined(ofBoth.places[2]!.problem)
      assert.deepStrictEqual(verdicts(ofBoth).slice(0, 1), ["b: a differs: records -1 <0 alive"])
    })
  )

  it.effect("an LMDB that is not there, one that is not native, and an empty bucket", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const gone = yield* make({ records }, { [nameOf("a", 10)]: { records }, [nameOf("b", 20)]: { records } })
      yield* fs.remove(gone.path)
      const report = yield* gone.verify()
      assert.match(report.places[2]!.problem!, /there is no such file/)
      assert.deepStrictEqual(verdicts(report), ["b: a complete", "a: b not yet"])
      assert.isFalse(good(report))
      assert.isFalse(yield* fs.exists(gone.path))
      const plain = [{ name: DbiName.fromText("records"), flags: 0, entries: [{ key: hex("k"), value: hex("plain") }] }]
      const foreign = yield* make(plain, { [nameOf("a", 10)]: { records } })
      const failure = yield* Effect.flip(foreign.verify())
      assert.match(failure.message, /DBI "records", key 0x6b: the value is shorter than its header/)
      const empty = yield* make({ records }, {})
      assert.isFalse(good(yield* empty.verify()))
    })
  )

  it.effect("DBIs whose keys are in different orders are not compared", () =>
    Effect.gen(function* () {
      const integers = ofDbis([{ ...dbi("records", [["aaaa", 5, "x"]]), flags: 8n }])
      const { verify } = yield* make(
        [],
        { [nameOf("a", 10)]: objectOf(integers), [nameOf("b", 20)]: { records: [["aaaa", 5, "x"]] } },
        { isShadow: true }
      )
      const report = yield* verify()
      assert.deepStrictEqual(
        report.dbis[0]!.conflict?.map(({ instance }) => instance),
        ["a", "b"]
      )
      assert.isFalse(good(report))
    })
  )
})
