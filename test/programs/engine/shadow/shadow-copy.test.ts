/**
 * The copy main → shadow: what an application has changed gets its time, and at the start of the process no time that
 * beats newer data.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { gunzipSync } from "node:zlib"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import type { WriteTransaction } from "../../../../src/services/Lmdb.ts"
import { decode } from "../../../support/fixtures/DecodedSnapshot.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { dump, lastId, merge, over } from "../../../support/fixtures/Environments.ts"
import { type Hooks, hooked } from "../../../support/fakes/HookedLmdb.ts"
import {
  copyAt,
  drop,
  DUPSORT,
  INTEGERKEY,
  main,
  put,
  remove,
  shadow,
  shadowFlagsOf,
  shadowOptions,
  theirs
} from "../../../support/fixtures/ShadowEnvironments.ts"
import { objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

type Commit = (transaction: WriteTransaction) => void

/** An environment in memory whose daemon is started any number of times. */
const makeWorld = (memory: LmdbMemory.MemoryOptions = {}, shadow: Parameters<typeof shadowOptions>[0] = {}) => {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment(memory)
  const commit = (...commits: ReadonlyArray<Commit>) =>
    application.write((transaction) => commits.forEach((each) => each(transaction)))
  /** From start to end of a daemon. */
  const running = (hooks: Hooks = {}) =>
    Effect.provide(over(hooked(layer, hooks), shadowOptions(shadow), CompressionSync.layer), { local: true })
  return { commit, running }
}

const large = "x".repeat(100_000)

const lines = (value: string) => Array.from({ length: 400 }, (_, i) => [`key-${1_000 + i}`, value] as const)

describe("Shadow mode, main → shadow", () => {
  it.effect("new, changed, unchanged, gone, and gone and back", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* Effect.gen(function* () {
        yield* commit(put("d", { changed: "1", gone: "1", same: "1", wander: "1" }))
        yield* copyAt(5)
        assert.deepStrictEqual(yield* shadow("d"), ["changed=1 @5ms", "gone=1 @5ms", "same=1 @5ms", "wander=1 @5ms"])
        yield* commit(put("d", { changed: "2", new: "1" }), remove("d", "gone", "wander"))
        yield* copyAt(7)
        assert.deepStrictEqual(yield* shadow("d"), [
          "changed=2 @7ms",
          "gone deleted @7ms",
          "new=1 @7ms",
          "same=1 @5ms",
          "wander deleted @7ms"
        ])
        yield* commit(put("d", { wander: "1" }))
        yield* copyAt(9)
        assert.deepStrictEqual(yield* shadow("d"), [
          "changed=2 @7ms",
          "gone deleted @7ms",
          "new=1 @7ms",
          "same=1 @5ms",
          "wander=1 @9ms"
        ])
        assert.deepStrictEqual(yield* main("d"), ["changed=2", "new=1", "same=1", "wander=1"])
      }).pipe(running())
    })
  )

  it.effect(
    "with a clock that is behind, what has changed is later than what it takes the place of, and wins everywhere",
    () =>
      Effect.gen(function* () {
        const [here, there] = [makeWorld(), makeWorld()]
        const exchanged = yield* Effect.gen(function* () {
          yield* here.commit(put("d", { changed: "1", gone: "1", same: "1", wander: "1" }), put("e", { k: "1" }))
          const { object } = yield* Effect.andThen(TestClock.setTime(9), dump())
          yield* here.commit(put("d", { changed: "2", new: "1" }), remove("d", "gone", "wander"))
          yield* copyAt(5)
          assert.deepStrictEqual(yield* shadow("d"), [
            "changed=2 @9.000001ms",
            "gone deleted @9.000001ms",
            "new=1 @5ms",
            "same=1 @9ms",
            "wander deleted @9.000001ms"
          ])
          yield* here.commit(put("d", { wander: "2" }))
          return [object, (yield* dump()).object]
        }).pipe(here.running())
        yield* Effect.gen(function* () {
          for (const object of exchanged) yield* merge(object)
          assert.deepStrictEqual(yield* main("d"), ["changed=2", "new=1", "same=1", "wander=2"])
          yield* there.commit(remove("e", "k"))
          yield* copyAt(3)
          assert.deepStrictEqual(yield* shadow("e"), ["k deleted @9.000001ms"])
        }).pipe(there.running())
      })
  )

  it.effect("a time of which both halves are full goes up as far as there is room", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* Effect.gen(function* () {
        const largest = 2n ** 64n - 1n
        const times = [
          ["a", 2n ** 32n * 7n - 1n],
          ["b", largest]
        ] as const
        const dbi = {
          ...theirs(
            "d",
            times.map(([key]) => [key, 1, "1"])
          ),
          entries: times.map(([key, timestampNano]) => ({
            key: Buffer.from(key).toString("hex"),
            value: "",
            timestampNano,
            flags: 0
          }))
        }
        yield* merge(objectOf(ofDbis([dbi])))
        yield* commit(put("d", { a: "2", b: "2" }))
        yield* copyAt(1)
        assert.deepStrictEqual(yield* shadow("d"), [
          `a=2 @${Number(2n ** 32n * 7n) / 1e6}ms`,
          `b=2 @${Number(largest) / 1e6}ms`
        ])
      }).pipe(running())
    })
  )

  it.effect("a live key with an empty value is kept, and is another thing than a deleted one", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* Effect.gen(function* () {
        yield* commit(put("d", { a: "", b: "x" }))
        yield* copyAt(5)
        yield* commit(put("d", { b: "" }), remove("d", "a"))
        yield* copyAt(6)
        assert.deepStrictEqual(yield* shadow("d"), ["a deleted @6ms", "b= @6ms"])
        yield* commit(put("d", { a: "" }))
        yield* copyAt(7)
        assert.deepStrictEqual(yield* shadow("d"), ["a= @7ms", "b= @6ms"])
        assert.deepStrictEqual(yield* main("d"), ["a=", "b="])
        yield* merge(
          objectOf(
            ofDbis([
              theirs("d", [
                ["b", 5, "older"],
                ["c", 8, ""]
              ])
            ])
          )
        )
        assert.deepStrictEqual(yield* main("d"), ["a=", "b=", "c="])
      }).pipe(running())
    })
  )

  it.effect("nothing changed: the lock is not taken, and nothing is walked", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      let reads = 0
      let writes = 0
      yield* commit(put("d", { a: "1" }), put("empty", []))
      yield* Effect.gen(function* () {
        yield* copyAt(5)
        yield* copyAt(6)
        const id = yield* lastId
        const before = { reads, writes }
        const result = yield* copyAt(7)
        assert.strictEqual(yield* lastId, id)
        assert.deepStrictEqual({ reads, writes }, { ...before, reads: before.reads + 1 }, "the dump's own reading only")
        assert.deepInclude({ ...result }, { lockHeldMillis: 0, transactionId: id })
        // A commit that changes nothing costs a walk, not the lock.
        yield* commit(put("d", { a: "1" }))
        yield* copyAt(8)
        assert.deepStrictEqual(writes, before.writes)
        assert.deepStrictEqual(yield* shadow("d"), ["a=1 @1ns"])
        assert.deepStrictEqual(yield* shadow("empty"), [])
      }).pipe(
        running({
          beforeRead: Effect.sync(() => reads++),
          beforeWrite: () => Effect.sync(() => writes++)
        })
      )
    })
  )

  it.effect("a DBI without entries is sent, too", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* commit(put("first", []))
      yield* Effect.gen(function* () {
        yield* commit(put("second", []))
        const { object } = yield* dump()
        assert.deepStrictEqual(
          decode(gunzipSync(object)).dbis.map(({ name }) => String(name)),
          ["first", "second"]
        )
      }).pipe(running())
    })
  )

  it.effect("our own copies and merges are no reason to send; the application's changes are", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* commit(put("d", { a: "1" }))
      yield* Effect.gen(function* () {
        const { changes } = yield* Database
        yield* copyAt(5)
        assert.deepInclude({ ...(yield* changes) }, { last: 2n, lastForeign: 1n })
        const id = yield* commit(put("d", { a: "2" }))
        yield* merge(objectOf(ofDbis([theirs("d", [["b", 8, "theirs"]])])))
        assert.deepInclude({ ...(yield* changes) }, { last: id + 2n, lastForeign: id })
        const { transactionId } = yield* copyAt(6)
        assert.strictEqual(transactionId, id + 2n, "what the application wrote is in it")
      }).pipe(running())
    })
  )

  describe("at the start", () => {
    it.effect("what is in main before the first one ever gets the time 1 ns", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        yield* commit(put("d", { a: "1", b: "" }), put("i", { aaaa: "1" }, 8))
        yield* TestClock.setTime(1_000)
        yield* Effect.gen(function* () {
          assert.deepStrictEqual(yield* shadow("d"), ["a=1 @1ns", "b= @1ns"])
          assert.deepStrictEqual(yield* shadow("i"), ["aaaa=1 @1ns"])
          assert.deepStrictEqual([yield* shadowFlagsOf("d"), yield* shadowFlagsOf("i")], [0, 8])
          yield* copyAt(2_000)
          assert.deepStrictEqual(yield* shadow("d"), ["a=1 @1ns", "b= @1ns"], "it keeps that")
        }).pipe(running())
      })
    )

    it.effect(
      "what happened while nothing was running beats no newer data, and what changed wins with the copy after that",
      () =>
        Effect.gen(function* () {
          const { commit, running } = makeWorld()
          yield* Effect.gen(function* () {
            yield* commit(put("d", { back: "1", changed: "1", emptied: "1", gone: "1", same: "1", "long-gone": "1" }))
            yield* copyAt(5)
            yield* commit(remove("d", "back", "long-gone"))
            yield* copyAt(6)
          }).pipe(running())
          yield* commit(put("d", { back: "2", changed: "2", emptied: "", new: "1" }), remove("d", "gone"))
          yield* Effect.gen(function* () {
            assert.deepStrictEqual(yield* shadow("d"), [
              "back deleted @6ms",
              "changed=1 @5ms",
              "emptied=1 @5ms",
              "gone deleted @1ns",
              "long-gone deleted @6ms",
              "new=1 @1ns",
              "same=1 @5ms"
            ])
            assert.deepStrictEqual(
              yield* main("d"),
              ["back=2", "changed=2", "emptied=", "new=1", "same=1"],
              "main stays"
            )
            yield* copyAt(9)
            assert.deepStrictEqual(yield* shadow("d"), [
              "back=2 @9ms",
              "changed=2 @9ms",
              "emptied= @9ms",
              "gone deleted @1ns",
              "long-gone deleted @6ms",
              "new=1 @1ns",
              "same=1 @5ms"
            ])
          }).pipe(running())
        })
    )

    it.effect(
      "a value changed from 1 ns: the smaller one keeps that time, the larger one gets the time of the copy after that",
      () =>
        Effect.gen(function* () {
          const { commit, running } = makeWorld()
          yield* commit(put("d", { larger: "5", smaller: "5", shorter: "55" }))
          yield* running()(Effect.void)
          yield* commit(put("d", { larger: "6", smaller: "4", shorter: "5" }))
          yield* Effect.gen(function* () {
            assert.deepStrictEqual(yield* shadow("d"), ["larger=5 @1ns", "shorter=5 @1ns", "smaller=4 @1ns"])
            yield* copyAt(9)
            assert.deepStrictEqual(yield* shadow("d"), ["larger=6 @9ms", "shorter=5 @1ns", "smaller=4 @1ns"])
          }).pipe(running())
        })
    )

    it.effect(
      "any snapshot that still has a key that went meanwhile brings it back; one that was changed meanwhile stays",
      () =>
        Effect.gen(function* () {
          const { commit, running } = makeWorld()
          yield* Effect.gen(function* () {
            yield* commit(put("d", { changed: "1", gone: "1", new: "0" }))
            yield* copyAt(5)
            yield* commit(remove("d", "new"))
            yield* copyAt(6)
          }).pipe(running())
          yield* commit(put("d", { changed: "2" }), remove("d", "gone"))
          yield* TestClock.setTime(9)
          yield* Effect.gen(function* () {
            yield* merge(
              objectOf(
                ofDbis([
                  theirs("d", [
                    ["changed", 8, "theirs"],
                    ["gone", 3, "1"]
                  ])
                ])
              )
            )
            assert.deepStrictEqual(yield* main("d"), ["changed=2", "gone=1"])
            assert.deepStrictEqual(yield* shadow("d"), ["changed=2 @9ms", "gone=1 @3ms", "new deleted @6ms"])
          }).pipe(running())
        })
    )

    it.effect("an LMDB with nothing but deletions in its shadow is not empty", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        const isEmpty = Effect.flatMap(Database, ({ changes }) => Effect.map(changes, ({ emptyAtOpen }) => emptyAtOpen))
        assert.isTrue(yield* running()(isEmpty))
        yield* Effect.gen(function* () {
          yield* commit(put("d", { a: "1" }))
          yield* copyAt(5)
          yield* commit(remove("d", "a"))
          yield* copyAt(6)
        }).pipe(running())
        assert.isFalse(yield* running()(isEmpty))
        yield* commit(drop("d"))
        assert.isTrue(yield* running()(isEmpty), "of a DBI that is dropped nothing is sent")
      })
    )
  })

  describe("beside its application", () => {
    it.effect("is given up and repeated when it has committed in between, and its writes are no deletions", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        const between: Array<Commit> = []
        let writes = 0
        yield* commit(put("d", { a: "1", b: "1" }))
        yield* Effect.gen(function* () {
          yield* commit(put("d", { c: "1" }), remove("d", "a"))
          between.push(put("d", { x: "1" }), put("d", { y: "1" }))
          writes = 0
          yield* copyAt(5)
          assert.deepStrictEqual(yield* shadow("d"), ["a deleted @5ms", "b=1 @1ns", "c=1 @5ms", "x=1 @5ms", "y=1 @5ms"])
          assert.strictEqual(writes, 3)
        }).pipe(
          running({
            beforeWrite: () =>
              Effect.andThen(
                Effect.sync(() => writes++),
                commit(...between.splice(0, 1))
              )
          })
        )
      })
    )

    it.effect("after three such rounds it is done inside one write transaction", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        yield* commit(put("d", { a: "1", b: "1" }))
        let isRestless = false
        const ids: Array<bigint> = []
        yield* Effect.gen(function* () {
          yield* commit(put("d", { b: "2" }), remove("d", "a"))
          isRestless = true
          const { transactionId } = yield* copyAt(5)
          isRestless = false
          assert.strictEqual(ids.length, 4)
          assert.strictEqual(transactionId, ids[3]! + 1n)
          assert.deepStrictEqual(yield* shadow("d"), [
            "a deleted @5ms",
            "b=2 @5ms",
            ...ids.map((_, i) => `between-${i}=v @5ms`)
          ])
        }).pipe(
          running({
            beforeWrite: () =>
              isRestless
                ? Effect.map(commit(put("d", [[`between-${ids.length}`, "v"]])), (id) => ids.push(id))
                : Effect.void
          })
        )
      })
    )

    it.effect("a DBI that it drops in between is left alone, and one that it recreates is taken as it is then", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        const between: Array<Commit> = []
        yield* commit(put("d", { a: "1", b: "1" }))
        yield* Effect.gen(function* () {
          yield* commit(put("d", { c: "1" }))
          between.push(drop("d"))
          yield* copyAt(5)
          assert.deepStrictEqual(yield* shadow("d"), ["a=1 @1ns", "b=1 @1ns"])
          yield* commit(put("d", { e: "1" }))
          between.push((transaction) => {
            drop("d")(transaction)
            put("d", { b: "2" })(transaction)
          })
          yield* copyAt(6)
          assert.deepStrictEqual(yield* shadow("d"), ["a deleted @6ms", "b=2 @6ms"])
        }).pipe(running({ beforeWrite: () => commit(...between.splice(0, 1)) }))
      })
    )

    it.effect(
      "a DBI that it recreates in another way between copy and dump is not sent with what the shadow has of the old one",
      () =>
        Effect.gen(function* () {
          for (const [flags, problem] of [
            [INTEGERKEY, /the flags none, not MDB_INTEGERKEY/],
            [DUPSORT, /keys that are not those of a MDB_DUPSORT DBI/]
          ] as const) {
            const { commit, running } = makeWorld({}, { dupsortHack: true })
            const between: Array<Commit> = []
            yield* commit(put("d", { aaaa: "1" }))
            yield* Effect.gen(function* () {
              yield* copyAt(5)
              between.push((transaction) => {
                drop("d")(transaction)
                put("d", { aaaa: "1" }, flags)(transaction)
              })
              assert.match((yield* Effect.flip(dump())).message, problem)
            }).pipe(
              running({ beforeRead: Effect.suspend(() => Effect.forEach(between.splice(0), (each) => commit(each))) })
            )
          }
        })
    )

    it.effect("more differences than are kept in memory are found inside the write transaction", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld()
        yield* commit(put("d", [["a", "1"], ...lines("1")]), put("e", { a: "1" }))
        yield* Effect.gen(function* () {
          yield* copyAt(5)
          yield* commit(put("d", lines(large)), remove("d", "a"), put("e", { b: "1" }), remove("e", "a"))
          const { entries } = yield* copyAt(6)
          assert.strictEqual(entries, 403)
          assert.deepStrictEqual(yield* shadow("e"), ["a deleted @6ms", "b=1 @6ms"])
          const content = (yield* shadow("d"))!
          assert.strictEqual(content[0], "a deleted @6ms")
          assert.deepStrictEqual(
            content.slice(1),
            lines(large).map(([key, value]) => `${key}=${value} @6ms`)
          )
        }).pipe(running())
      })
    )

    it.effect("a full map fails the copy with what to do, and the next one does it all", () =>
      Effect.gen(function* () {
        const { commit, running } = makeWorld({ mapSize: 100_000 })
        const lines = Array.from({ length: 60 }, (_, i) => [`key-${100 + i}`, "v".repeat(1_000)] as const)
        yield* commit(put("d", lines))
        yield* Effect.gen(function* () {
          assert.deepStrictEqual(yield* shadow("d"), undefined, "there was no room at the start, either")
          const error = yield* Effect.flip(copyAt(5))
          assert.strictEqual(error._tag === "DatabaseError" ? error.reaction : error._tag, "wait: map full")
          const { changes } = yield* Database
          assert.deepInclude({ ...(yield* changes) }, { last: 1n, lastForeign: 1n })
          yield* commit(remove("d", ...lines.slice(2).map(([key]) => key)))
          yield* copyAt(6)
          assert.deepStrictEqual(
            yield* shadow("d"),
            lines.slice(0, 2).map(([key, value]) => `${key}=${value} @1ns`)
          )
        }).pipe(running())
      })
    )
  })
})
