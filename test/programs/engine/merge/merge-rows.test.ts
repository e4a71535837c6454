/**
 * Several snapshots that are merged together: one write transaction, in order, with the content that merging them one
 * by one gives. A snapshot that cannot be merged together with those before it is left for the next merge.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import { Choices } from "../../../simulation/Choices.ts"
import { beside, model, put } from "../../../support/fixtures/BesideApplication.ts"
import {
  databaseOptions,
  lastId,
  merge,
  mergeRows,
  nativeOptions,
  over,
  overNative,
  raw
} from "../../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../../support/fixtures/GoldenEnvironments.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { DUPSORT, main, pairKey, shadowContent, shadowOptions } from "../../../support/fixtures/ShadowEnvironments.ts"
import {
  dbi,
  type Line,
  type Lines,
  many,
  object,
  objectOf,
  ofDbis,
  snapshot
} from "../../../support/fixtures/Snapshots.ts"

const full: Lines = { d: [["k0", 1, "full"]] }

/** Deltas with one entry each. */
const deltas = Array.from({ length: 10 }, (_, n): Lines => ({ d: [[`k${n + 1}`, 2, `d${n}`]] }))

const inMemory = (options = databaseOptions()) => over(LmdbMemory.layerWith(), options)

const content = Effect.map(raw, (dbis) => shown(contentOf(dbis)))

const counts = (rows: Effect.Success<ReturnType<typeof mergeRows>>) =>
  rows.map((results) => results.map(({ entriesWritten }) => entriesWritten))

const corrupt = (lines: Lines) => object(lines).fill(0, 30, 40)

/** Creates a snapshot with pairs of a MDB_DUPSORT DBI. */
const pairs = (...lines: ReadonlyArray<Line>) =>
  objectOf(
    ofDbis([
      {
        ...dbi("p", []),
        flags: BigInt(DUPSORT),
        transform: "dupsort_hack_v1",
        entries: lines.map(([key, time, value]) => ({
          key: Buffer.from(pairKey(key, value ?? ""), "latin1").toString("hex"),
          value: Buffer.from(value ?? "").toString("hex"),
          timestampNano: BigInt(time),
          flags: 0
        }))
      }
    ])
  )

const large = (key: string): Lines => ({
  d: Array.from({ length: 8 }, (_, i): Line => [`${key}${i}`, 2, key.repeat(2 ** 20)])
})

describe("Merge of several snapshots", () => {
  for (const mode of ["native", "shadow"] as const) {
    it.live(`takes one write transaction for ten deltas, ${mode} mode`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const shadow = mode === "shadow" ? { shadow: { dupsortHack: false, createFlags: {} } } : {}
          const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`, shadow)
          yield* Effect.gen(function* () {
            yield* merge(object(full))
            const before = yield* lastId
            const [results, ...others] = yield* mergeRows(deltas.map(object))
            assert.lengthOf(others, 0)
            assert.strictEqual(yield* lastId, before + 1n)
            assert.deepStrictEqual(
              results!.map(({ entriesRead, entriesWritten, transactionId, transactions }) => [
                entriesRead,
                entriesWritten,
                transactionId,
                transactions
              ]),
              deltas.map((_, n) => [1, 1, before + 1n, n === 9 ? 1 : 0])
            )
            assert.isAbove(results!.at(-1)!.lockHeldMillis, 0)
            assert.deepStrictEqual(
              shown(mode === "native" ? contentOf(yield* raw) : yield* shadowContent),
              model(full, ...deltas)
            )
            if (mode === "shadow") assert.lengthOf((yield* main("d"))!, 11)
          }).pipe(Effect.provide(overNative(options)))
        })
      )
    )
  }

  it.live("takes no lock if none of them has anything new", () =>
    Effect.gen(function* () {
      yield* mergeRows([full, ...deltas].map(object))
      const before = yield* lastId
      const [results] = yield* mergeRows(deltas.map(object))
      assert.deepStrictEqual(
        results!.map(({ entriesWritten, lockHeldMillis }) => [entriesWritten, lockHeldMillis]),
        deltas.map(() => [0, 0])
      )
      assert.strictEqual(yield* lastId, before)
    }).pipe(Effect.provide(inMemory()))
  )

  it.live("compares what they have in common in their order: an older entry loses, whichever comes first", () =>
    Effect.gen(function* () {
      yield* merge(object(full))
      const row: ReadonlyArray<Lines> = [
        { d: [["k1", 5, "five"]] },
        {
          d: [
            ["k1", 7, "seven"],
            ["k2", 3, null]
          ]
        },
        {
          d: [
            ["k1", 6, "six"],
            ["k2", 3, "three"]
          ]
        },
        { d: [["k0", 2, null]] }
      ]
      const rows = yield* mergeRows(row.map(object))
      assert.deepStrictEqual(counts(rows), [[1, 2, 0, 1]])
      const seven = Buffer.from("seven").toString("hex")
      assert.deepStrictEqual(yield* content, { d: ["6b30 2 deleted", `6b31 7 "${seven}"`, "6b32 3 deleted"] })
    }).pipe(Effect.provide(inMemory()))
  )

  it.live("merges those before a corrupt one, which fails by itself; those behind it are merged afterwards", () =>
    Effect.gen(function* () {
      yield* merge(object(full))
      const objects = deltas.map((lines, n) => (n === 4 ? corrupt(lines) : object(lines)))
      const error = yield* Effect.flip(mergeRows(objects))
      assert.strictEqual(error._tag === "DatabaseError" ? error.reaction : error._tag, "quarantine: corrupt")
      assert.deepStrictEqual(yield* content, model(full, ...deltas.slice(0, 4)))
      assert.deepStrictEqual(counts(yield* mergeRows(objects.slice(5))), [[1, 1, 1, 1, 1]])
      assert.deepStrictEqual(yield* content, model(full, ...deltas.slice(0, 4), ...deltas.slice(5)))
    }).pipe(Effect.provide(inMemory()))
  )

  it.live("ends the row before one that is refused, and after one that creates a DBI or fills an empty one", () =>
    Effect.gen(function* () {
      yield* merge(object({ ...full, empty: [] }))
      const lines: ReadonlyArray<Lines> = [
        { d: [["k1", 2, "d0"]] },
        { e: [["k1", 2, "first"]] },
        { e: [["k1", 1, "older"]], d: [["k2", 2, "d1"]] },
        { empty: [["k1", 2, "d1"]] },
        { d: [["k3", 2, "d1"]] }
      ]
      const refused = objectOf({ ...snapshot({ d: [["x", 9, "refused"]] }), compatVersion: 4 })
      const rows = yield* mergeRows(lines.map(object))
      assert.deepStrictEqual(counts(rows), [[1, 1], [1, 1], [1]])
      assert.deepStrictEqual(
        rows.map((results) => results.map(({ made }) => made)),
        [[[], ["e"]], [[], []], [[]]]
      )
      const error = yield* Effect.flip(mergeRows([object({ d: [["k4", 2, "d2"]] }), refused]))
      assert.strictEqual(error._tag === "DatabaseError" ? error.reaction : error._tag, "quarantine: refused")
      assert.deepStrictEqual(yield* content, model({ ...full, empty: [] }, ...lines, { d: [["k4", 2, "d2"]] }))
    }).pipe(Effect.provide(inMemory()))
  )

  it.live("checks the pairs of a MDB_DUPSORT DBI in each of them against those that are there", () =>
    Effect.gen(function* () {
      yield* merge(pairs(["a", 1, "v"]))
      // Each is allowed by itself, but an empty value cannot be beside another one.
      const error = yield* Effect.flip(mergeRows([pairs(["b", 2, "w"]), pairs(["b", 2, ""])]))
      assert.strictEqual(error._tag === "DatabaseError" ? error.reaction : error._tag, "quarantine: refused")
      assert.deepStrictEqual(yield* main("p"), ["a=v", "b=w"])
    }).pipe(Effect.provide(inMemory(shadowOptions({ dupsortHack: true }))))
  )

  it.live("ends the row before the winners exceed what they may take in memory", () =>
    Effect.gen(function* () {
      yield* merge(object(full))
      const rows = yield* mergeRows(["a", "b", "c"].map((key) => object(large(key))))
      assert.deepStrictEqual(counts(rows), [[8, 8], [8]])
    }).pipe(Effect.provide(inMemory()))
  )

  it.live("is divided by merge_lock_duration", () =>
    Effect.gen(function* () {
      const { layer } = yield* beside(full, [], { mergeLockMillis: 1 })
      yield* Effect.gen(function* () {
        const lines = [0, 1, 2].map((n): Lines => ({ d: many(4_000, 2 + n, 30, `r${n}`) }))
        const before = yield* lastId
        const [results, ...others] = yield* mergeRows(lines.map(object))
        assert.lengthOf(others, 0)
        assert.deepStrictEqual(
          results!.map(({ entriesWritten }) => entriesWritten),
          [4_000, 4_000, 4_000]
        )
        const { transactions } = results!.at(-1)!
        assert.isAbove(transactions, 2)
        assert.strictEqual(yield* lastId, before + BigInt(transactions))
        assert.deepStrictEqual(yield* content, model(full, ...lines))
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("loses nothing if it is interrupted between two parts: merging the same again completes it", () =>
    Effect.gen(function* () {
      const lines = [0, 1, 2].map((n): Lines => ({ d: many(4_000, 2 + n, 30, `r${n}`) }))
      const { application, layer } = yield* beside(full, [], { mergeLockMillis: 1 })
      yield* Effect.gen(function* () {
        const before = yield* lastId
        const merging = yield* Effect.forkChild(mergeRows(lines.map(object)))
        while ((yield* lastId) < before + 2n) yield* Effect.sleep(1)
        yield* Fiber.interrupt(merging)
        assert.notDeepEqual(yield* content, model(full, ...lines))
        yield* application.write(put({ d: [["key-00000007", 9, "application"]] }))
        yield* mergeRows(lines.map(object))
        assert.deepStrictEqual(yield* content, model(full, { d: [["key-00000007", 9, "application"]] }, ...lines))
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("compares again what the application commits between the phases", () =>
    Effect.gen(function* () {
      const between: Lines = {
        d: [
          ["k3", 9, "application"],
          ["k4", 1, "older"]
        ]
      }
      const { layer } = yield* beside(full, [put(between)])
      yield* Effect.gen(function* () {
        const rows = yield* mergeRows(deltas.map(object))
        assert.deepStrictEqual(counts(rows), [[1, 1, 0, 1, 1, 1, 1, 1, 1, 1]])
        assert.deepStrictEqual(yield* content, model(full, between, ...deltas))
        const { changes } = yield* Database
        assert.deepInclude({ ...(yield* changes) }, { last: 3n, lastForeign: 2n })
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("gives what the model gives, over random snapshots of random rows", () =>
    Effect.gen(function* () {
      let joined = 0
      for (let seed = 0; seed < 40; seed++) {
        const choices = new Choices(seed)
        const line = (key: string): Line => [
          key,
          1 + choices.below(6),
          choices.chance(0.3) ? null : choices.of(["", "x", "y"])
        ]
        const lines = (): Lines =>
          Object.fromEntries(
            ["d", "e", "f"]
              .filter(() => choices.chance(0.5))
              .map((name) => [name, ["a", "b", "c", "e", "g"].filter(() => choices.chance(0.4)).map(line)])
          )
        const all = Array.from({ length: 12 }, lines)
        yield* Effect.gen(function* () {
          for (let left = all; left.length > 0;) {
            const length = 1 + choices.below(6)
            for (const results of yield* mergeRows(left.slice(0, length).map(object))) joined += results.length - 1
            left = left.slice(length)
          }
          const expected = all.reduce((merged, each) => mergeSnapshot(merged, snapshot(each)), contentOf([]))
          assert.deepStrictEqual(yield* content, shown(expected), `seed ${seed}`)
        }).pipe(Effect.provide(inMemory(), { local: true }))
      }
      assert.isAbove(joined, 150)
    })
  )
})
