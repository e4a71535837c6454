/**
 * A merge in shadow mode: main follows the shadow, in the same transaction, and what the application commits meanwhile
 * is never overwritten or taken for deletions.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Compressions from "../../../../src/layers/compression/Compressions.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database, DatabaseError, type DatabaseOptions } from "../../../../src/services/Database.ts"
import type { LmdbError, WriteTransaction } from "../../../../src/services/Lmdb.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { lastId, merge, over, spool } from "../../../support/fixtures/Environments.ts"
import { type Hooks, hooked } from "../../../support/fakes/HookedLmdb.ts"
import {
  copyAt,
  drop,
  DUPSORT,
  type Entry,
  main,
  pairKey,
  put,
  remove,
  shadow,
  shadowOptions,
  theirs
} from "../../../support/fixtures/ShadowEnvironments.ts"
import { objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

type Commit = (transaction: WriteTransaction) => void

/** A daemon over an environment in memory, and how often it took the lock. */
const makeWorld = (options: Partial<DatabaseOptions> = {}, memory: LmdbMemory.MemoryOptions = {}) => {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment(memory)
  const commit = (...commits: ReadonlyArray<Commit>) =>
    application.write((transaction) => commits.forEach((each) => each(transaction)))
  const counts = { reads: 0, writes: 0 }
  const hooks = (extra: Hooks): Hooks => ({
    beforeRead: Effect.andThen(
      Effect.sync(() => counts.reads++),
      Effect.orDie(extra.beforeRead ?? Effect.void)
    ),
    beforeWrite: (before) =>
      Effect.andThen(
        Effect.sync(() => counts.writes++),
        Effect.orDie(extra.beforeWrite?.(before) ?? Effect.void)
      )
  })
  const running = (extra: Hooks = {}, compression = CompressionSync.layer) =>
    Effect.provide(over(hooked(layer, hooks(extra)), shadowOptions({ dupsortHack: true }, options), compression), {
      local: true
    })
  return { commit, running, counts, layer }
}

/** Of the DBI of the tests. */
const mergeEntries = (entries: ReadonlyArray<Entry>, flags = 0) =>
  merge(objectOf(ofDbis([theirs("d", entries, flags)])))

const large = (letter: string) => letter.repeat(100_000)

const keyOf = (i: number) => `key-${String(i).padStart(6, "0")}`

/** What main must be: live entries of the shadow. */
const liveOf = (lines: ReadonlyArray<string> | undefined) =>
  lines?.filter((line) => line.includes("=")).map((line) => line.replace(/ @\S+$/, ""))

const assertAlike = Effect.gen(function* () {
  assert.deepStrictEqual(yield* main("d"), liveOf(yield* shadow("d")))
})

/**
 * Also of the pairs of MDB_DUPSORT: the next copy, which a commit that changes nothing makes walk everything, finds
 * main to be what lives in the shadow.
 */
const assertNothingToCopy = Effect.fnUntraced(function* (
  commit: (commit: Commit) => Effect.Effect<bigint, LmdbError>,
  flags: number
) {
  const id = yield* commit((transaction) => {
    put("spare", [])(transaction)
    drop("spare")(transaction)
  })
  assert.strictEqual((yield* mergeEntries([], flags)).transactionId, id)
})

describe("Shadow mode, merge", () => {
  it.effect("what wins goes into the shadow and into main, in one transaction; only keys that differ are put", () =>
    Effect.gen(function* () {
      const { commit, counts, running } = makeWorld()
      yield* commit(put("d", { gone: "1", same: "1", stays: "1" }))
      yield* Effect.gen(function* () {
        yield* copyAt(5)
        const id = yield* lastId
        counts.writes = 0
        const result = yield* mergeEntries([
          ["gone", 8, null],
          ["never", 8, null],
          ["new", 8, ""],
          ["same", 8, "1"],
          ["stays", 0, "older"]
        ])
        assert.deepStrictEqual(yield* shadow("d"), [
          "gone deleted @8ms",
          "never deleted @8ms",
          "new= @8ms",
          "same=1 @8ms",
          "stays=1 @1ns"
        ])
        assert.deepStrictEqual(yield* main("d"), ["new=", "same=1", "stays=1"])
        assert.deepInclude(
          { ...result },
          { entriesRead: 5, entriesWritten: 4, transactions: 1, transactionId: id + 1n }
        )
        assert.strictEqual(counts.writes, 1)
      }).pipe(running())
    })
  )

  it.effect("a merge that brings nothing never takes the lock, and walks main no more than once", () =>
    Effect.gen(function* () {
      const { commit, counts, running } = makeWorld()
      yield* commit(put("d", { a: "1" }))
      yield* Effect.gen(function* () {
        yield* mergeEntries([["b", 8, "1"]])
        counts.reads = counts.writes = 0
        for (let i = 0; i < 3; i++) {
          assert.deepInclude(
            {
              ...(yield* mergeEntries([
                ["a", 0, null],
                ["b", 8, "1"]
              ]))
            },
            { entriesWritten: 0, transactions: 0, lockHeldMillis: 0 }
          )
        }
        // One of each, and one of the tracker, which compares pages before and after the merge that wrote.
        assert.deepStrictEqual(counts, { reads: 4, writes: 0 })
      }).pipe(running())
    })
  )

  it.effect("what the application has changed is copied first, with the time of the merge", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* commit(put("d", { a: "1", b: "1", c: "1" }))
      yield* Effect.gen(function* () {
        yield* commit(put("d", { a: "ours", e: "ours" }), remove("d", "b"))
        yield* TestClock.setTime(7)
        const result = yield* mergeEntries([
          ["a", 6, "theirs"],
          ["b", 6, "theirs"],
          ["c", 6, "theirs"],
          ["e", 8, "theirs"]
        ])
        assert.deepStrictEqual(yield* shadow("d"), ["a=ours @7ms", "b deleted @7ms", "c=theirs @6ms", "e=theirs @8ms"])
        assert.deepStrictEqual(yield* main("d"), ["a=ours", "c=theirs", "e=theirs"])
        assert.deepInclude({ ...result }, { entriesWritten: 2, transactions: 2 })
      }).pipe(running())
    })
  )

  it.effect("begins again when the application commits in between", () =>
    Effect.gen(function* () {
      for (const flags of [0, DUPSORT]) {
        const { commit, running } = makeWorld()
        const between: Array<Commit> = []
        const key = (text: string) => (flags === 0 ? text : pairKey(text, "1"))
        yield* commit(put("d", { a: "1", b: "1" }, flags))
        yield* Effect.gen(function* () {
          yield* copyAt(5)
          between.push(remove("d", "a"), put("d", { c: "1", e: "1" }))
          const result = yield* mergeEntries(
            [
              [key("a"), 4, "1"],
              [key("c"), 4, null],
              [key("f"), 4, "1"]
            ],
            flags
          )
          assert.deepStrictEqual(yield* main("d"), ["b=1", "c=1", "e=1", "f=1"])
          yield* assertNothingToCopy(commit, flags)
          assert.strictEqual(result.passes, 2)
          assert.strictEqual(between.length, 0)
        }).pipe(running({ beforeWrite: () => commit(...between.splice(0, 1)) }))
      }
    })
  )

  it.effect("what the application commits between the copy and the reading is copied first, too", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      const between: Array<Commit> = []
      yield* commit(put("d", { a: "1", b: "1" }))
      yield* Effect.gen(function* () {
        yield* copyAt(5)
        between.push(put("d", { a: "application" }), remove("d", "b"))
        const result = yield* mergeEntries([
          ["a", 4, "theirs"],
          ["b", 4, "theirs"],
          ["c", 4, "theirs"]
        ])
        assert.deepStrictEqual(yield* main("d"), ["a=application", "c=theirs"])
        assert.deepStrictEqual(yield* shadow("d"), ["a=application @5ms", "b deleted @5ms", "c=theirs @4ms"])
        assert.strictEqual(result.passes, 1, "the snapshot was not read for nothing")
      }).pipe(running({ beforeRead: Effect.suspend(() => commit(...between.splice(0, 2))) }))
    })
  )

  it.effect("after three such rounds copy and merge are done inside one write transaction", () =>
    Effect.gen(function* () {
      for (const [entries, passes] of [
        [1, 4],
        [400, 7]
      ] as const) {
        const { commit, running } = makeWorld()
        let isRestless = false
        const ids: Array<bigint> = []
        yield* commit(put("d", { a: "1", b: "1", c: "1" }))
        yield* Effect.gen(function* () {
          yield* copyAt(5)
          isRestless = true
          const value = entries === 1 ? "theirs" : large("t")
          const result = yield* mergeEntries([
            ["a", 4, "theirs"],
            ["b", 6, null],
            // Older than what the application commits last.
            ["between-21", 4, null],
            ["between-21-not", 4, null],
            ...Array.from({ length: entries }, (_, i) => [`new-${1_000 + i}`, 4, value] as const)
          ])
          isRestless = false
          const inBetween = ids.map((_, i) => `between-${10 + i}`)
          assert.strictEqual(inBetween.at(-1), "between-21")
          const content = yield* main("d")
          assert.deepStrictEqual(content?.slice(0, 2 + ids.length), [
            "a=theirs",
            ...inBetween.map((key) => `${key}=v`),
            "c=1"
          ])
          assert.strictEqual(content!.length, 2 + ids.length + entries)
          assert.strictEqual(result.transactionId, ids.at(-1)! + 1n)
          assert.strictEqual(result.passes, passes)
          yield* assertAlike
          const { changes } = yield* Database
          assert.deepInclude({ ...(yield* changes) }, { last: result.transactionId, lastForeign: ids.at(-1)! })
          const id = yield* lastId
          yield* mergeEntries([["a", 4, "theirs"]])
          assert.strictEqual(yield* lastId, id)
        }).pipe(
          running({
            beforeWrite: () =>
              isRestless
                ? Effect.map(commit(put("d", [[`between-${10 + ids.length}`, "v"]])), (id) => ids.push(id))
                : Effect.void
          })
        )
      }
    })
  )

  it.effect("more winners than are kept in memory", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* commit(
        put("d", [
          [keyOf(0), "1"],
          [keyOf(1), "1"],
          ["zz", "1"]
        ])
      )
      yield* Effect.gen(function* () {
        const result = yield* mergeEntries(
          Array.from({ length: 400 }, (_, i) => [keyOf(i), 8, i === 1 ? null : large("t")] as const)
        )
        assert.deepInclude({ ...result }, { passes: 2, entriesWritten: 400 })
        assert.strictEqual((yield* main("d"))!.length, 400)
        yield* assertAlike
      }).pipe(running())
    })
  )

  it.effect("without room: fails whole, with what is missing, and goes on when there is room", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld({}, { mapSize: 100_000 })
      yield* commit(
        put("d", [
          ["a", "1"],
          ["b", "v".repeat(30_000)]
        ])
      )
      yield* Effect.gen(function* () {
        const entries = [
          ["a", 8, null],
          ["c", 8, "v".repeat(20_000)]
        ] as const
        const before = yield* shadow("d")
        const error = yield* Effect.flip(mergeEntries(entries))
        assert.strictEqual(error instanceof DatabaseError ? error.reaction : error._tag, "wait: map full")
        assert.deepStrictEqual(yield* shadow("d"), before)
        assert.deepStrictEqual((yield* main("d"))!.length, 2)
        yield* commit(remove("d", "b"))
        yield* mergeEntries(entries)
        assert.deepStrictEqual(yield* main("d"), [`c=${"v".repeat(20_000)}`])
        yield* assertAlike
      }).pipe(running())
    })
  )

  it.effect("tombstones older than the cut-off are not added, and still win against what is there", () =>
    Effect.gen(function* () {
      const { commit, running } = makeWorld()
      yield* commit(put("d", { a: "1" }))
      yield* Effect.gen(function* () {
        const { merge } = yield* Database
        const object = objectOf(
          ofDbis([
            theirs("d", [
              ["a", 5, null],
              ["b", 5, null],
              ["c", 6, null]
            ])
          ])
        )
        yield* Effect.scoped(
          Effect.flatMap(spool(object), (spooled) =>
            merge({ snapshots: [{ spooled, format: "gzip" }], cutOffNano: 6_000_000n })
          )
        )
        assert.deepStrictEqual(yield* shadow("d"), ["a deleted @5ms", "c deleted @6ms"])
        assert.deepStrictEqual(yield* main("d"), [])
      }).pipe(running())
    })
  )

  describe("in parts of merge_lock_duration", () => {
    const lines = Array.from({ length: 12_000 }, (_, i) => [keyOf(i), 8, i % 7 === 0 ? null : `theirs ${i}`] as const)

    it.live("each part holds shadow and main of the same keys", () =>
      Effect.gen(function* () {
        for (const before of [
          [],
          [
            [keyOf(5), "1"],
            [keyOf(11_000), "1"]
          ]
        ] as const) {
          const { commit, counts, layer, running } = makeWorld({ mergeLockMillis: 1 })
          yield* commit(put("d", before))
          yield* Effect.gen(function* () {
            counts.writes = 0
            const result = yield* mergeEntries(lines)
            assert.isAbove(result.transactions, 3)
            assert.isAtLeast(counts.writes, result.transactions)
            assert.strictEqual((yield* shadow("d"))!.length, lines.length)
          }).pipe(
            running(
              { beforeWrite: (n) => (n > 2 ? Effect.provide(assertAlike, layer, { local: true }) : Effect.void) },
              Compressions.layer
            )
          )
        }
      })
    )

    it.live(
      "the application commits between the parts: the merge begins again, and its writes win or lose by their time",
      () =>
        Effect.gen(function* () {
          const { commit, running } = makeWorld({ mergeLockMillis: 1 })
          yield* commit(put("d", { a: "1", b: "1" }))
          let commits = 0
          yield* Effect.gen(function* () {
            yield* mergeEntries(lines)
            const content = (yield* main("d"))!
            assert.includeMembers(content, [
              `${keyOf(1)}=application 0`,
              `${keyOf(2)}=application 1`,
              "new-0=v",
              "new-1=v",
              "b=1"
            ])
            assert.notInclude(
              content.map((line) => line.split("=")[0]),
              keyOf(3)
            )
            yield* assertAlike
          }).pipe(
            running(
              {
                beforeWrite: (n) =>
                  n === 3 || n === 5
                    ? commit(
                        put("d", [
                          [keyOf(1 + commits), `application ${commits}`],
                          [`new-${commits++}`, "v"]
                        ]),
                        remove("d", keyOf(3))
                      )
                    : Effect.void
              },
              Compressions.layer
            )
          )
        })
    )

    it.live("a DBI that is filled from its shadow is filled in one part", () =>
      Effect.gen(function* () {
        for (const flags of [0, DUPSORT]) {
          for (const entries of [
            [["key-b", 8, "1"]],
            Array.from({ length: 400 }, (_, i) => [
              `large-${1_000 + i}`,
              8,
              large("x").slice(0, flags === 0 ? undefined : 500)
            ])
          ] as ReadonlyArray<ReadonlyArray<Entry>>) {
            const { commit, running } = makeWorld({ mergeLockMillis: 1 })
            const many = Array.from({ length: 20_000 }, (_, i) => [keyOf(i), "v"] as const)
            yield* commit(put("d", many, flags))
            yield* Effect.gen(function* () {
              yield* mergeEntries([], flags)
              yield* commit(drop("d"))
              yield* mergeEntries(
                entries.map(([key, at, value]) => [flags === 0 ? key : pairKey(key, value!), at, value]),
                flags
              )
              assert.strictEqual((yield* main("d"))!.length, many.length + entries.length)
              yield* assertNothingToCopy(commit, flags)
            }).pipe(running({}, Compressions.layer))
          }
        }
      })
    )
  })
})
