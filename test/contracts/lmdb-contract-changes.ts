/** The part of the contract of `Lmdb` about the differences between two views. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import { Lmdb, type ReadTransaction, type WriteTransaction } from "../../src/services/Lmdb.ts"
import {
  a,
  b,
  bytes,
  change,
  clear,
  hex,
  type MakeSubject,
  put,
  thrown,
  withSubjectOf
} from "../support/fakes/LmdbSubject.ts"

/** The keys of each DBI in the order of the reports. DBIs without changes are omitted. */
export type Changes = Readonly<Record<string, ReadonlyArray<string>>>

export const changesBetween = (before: ReadTransaction, after: ReadTransaction, limit = Infinity) =>
  Effect.scoped(
    Effect.gen(function* () {
      const found: Record<string, Array<string>> = {}
      let keys: Array<string> = []
      let left = limit
      const walk = yield* (yield* Lmdb).changes(before, after, {
        dbi: ({ name }) => {
          keys = []
          found[DbiName.display(name)] = keys
          return true
        },
        key: (key, start, end) => {
          keys.push(Buffer.from(key.subarray(start, end)).toString("latin1"))
          return --left > 0
        }
      })
      // The walk is made in the shortest possible steps.
      while (!walk.run(0));
      return Object.fromEntries(Object.entries(found).filter(([, list]) => list.length > 0)) as Changes
    })
  )

/** Returns what the transactions after the first one have changed. */
const changesOf = (
  first: (transaction: WriteTransaction) => void,
  ...then: ReadonlyArray<(transaction: WriteTransaction) => void>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { read } = yield* Lmdb
      yield* change(first)
      const before = yield* read
      for (const one of then) yield* change(one)
      return yield* changesBetween(before, yield* read)
    })
  )

const number = (i: number) => String(i).padStart(6, "0")

const fill = (
  transaction: WriteTransaction,
  dbi: DbiName.DbiName,
  from: number,
  to: number,
  value = "v".repeat(40)
) => {
  for (let i = from; i < to; i++) put(transaction, dbi, number(i), value)
}

const removeKey = (transaction: WriteTransaction, dbi: DbiName.DbiName, key: string) =>
  transaction.remove(dbi, bytes(key), 0, key.length)

const removePair = (transaction: WriteTransaction, dbi: DbiName.DbiName, key: string, value: string) =>
  transaction.removePair(dbi, bytes(key), 0, key.length, bytes(value), 0, value.length)

const plainCases = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("nothing between two views of the same state, nor where the same was put again", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        assert.deepStrictEqual(yield* changesOf((transaction) => transaction.create(a, 0)), {})
        assert.deepStrictEqual(
          yield* changesOf(
            (transaction) => fill(transaction, a, 0, 1_000),
            (transaction) => fill(transaction, a, 500, 600),
            (transaction) => removeKey(transaction, a, number(7)),
            (transaction) => fill(transaction, a, 7, 8)
          ),
          {}
        )
      })
    )
  )

  it.live("what was put, changed and removed, in key order", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const found = yield* changesOf(
          (transaction) => {
            for (const dbi of [a, b]) transaction.create(dbi, 0)
            fill(transaction, a, 0, 20_000)
            fill(transaction, b, 0, 10)
          },
          (transaction) => put(transaction, a, number(19_000), ""),
          (transaction) => {
            removeKey(transaction, a, number(300))
            put(transaction, a, "0003005", "new")
          },
          (transaction) => put(transaction, b, "x", "y")
        )
        assert.deepStrictEqual(found, { a: [number(300), "0003005", number(19_000)], b: ["x"] })
      })
    )
  )

  it.live("trees that grow and shrink", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const all = Array.from({ length: 30_000 }, (_, i) => number(i))
        assert.deepStrictEqual(
          yield* changesOf(
            (transaction) => transaction.create(a, 0),
            (transaction) => fill(transaction, a, 0, 30_000)
          ),
          { a: all }
        )
        const removed = all.filter((_, i) => i % 3 !== 0)
        const found = yield* changesOf(
          () => {},
          (transaction) => removed.forEach((key) => removeKey(transaction, a, key))
        )
        assert.deepStrictEqual(found, { a: removed })
        assert.deepStrictEqual(
          yield* changesOf(
            () => {},
            (transaction) => clear(transaction, a)
          ),
          { a: all.filter((_, i) => i % 3 === 0) }
        )
      })
    )
  )

  it.live("values of several pages", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const large = "l".repeat(20_000)
        const found = yield* changesOf(
          (transaction) => {
            transaction.create(a, 0)
            for (const key of ["changed at the end", "longer", "same", "shorter", "small"])
              put(transaction, a, key, large)
          },
          (transaction) => {
            put(transaction, a, "changed at the end", `${large.slice(1)}x`)
            put(transaction, a, "longer", `${large}l`)
            put(transaction, a, "same", "for a moment")
            put(transaction, a, "shorter", large.slice(5_000))
            put(transaction, a, "small", "s")
          },
          (transaction) => put(transaction, a, "same", large)
        )
        assert.deepStrictEqual(found, { a: ["changed at the end", "longer", "shorter", "small"] })
      })
    )
  )

  it.live("small values, one of which LMDB has left in the page of a large one", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const keys = ["changed", "same"]
        const putIn = (transaction: WriteTransaction, isLeft: boolean, changed: string) => {
          for (const key of keys) {
            removeKey(transaction, a, key)
            if (isLeft) put(transaction, a, key, "l".repeat(5_000))
            put(transaction, a, key, key === "changed" ? changed : "small")
          }
        }
        for (const isLeft of [false, true]) {
          const found = yield* changesOf(
            (transaction) => {
              if (transaction.dbis().length === 0) transaction.create(a, 0)
              putIn(transaction, isLeft, "small")
            },
            (transaction) => putIn(transaction, !isLeft, "smell")
          )
          assert.deepStrictEqual(found, { a: ["changed"] }, isLeft ? "in the older view" : "in the newer view")
        }
      })
    )
  )
}

const presenceCase = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("whether the newer view has a key", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const { changes, read } = yield* Lmdb
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* change((transaction) => {
              transaction.create(a, 0)
              for (const key of ["changed", "removed"]) put(transaction, a, key, "v")
            })
            const before = yield* read
            yield* change((transaction) => {
              for (const key of ["changed", "new"]) put(transaction, a, key, "w")
              removeKey(transaction, a, "removed")
            })
            const found: Record<string, boolean> = {}
            const walk = yield* changes(before, yield* read, {
              dbi: () => true,
              key: (key, start, end, isPresent) => {
                found[Buffer.from(key.subarray(start, end)).toString()] = isPresent
                return true
              }
            })
            while (!walk.run(Infinity));
            assert.deepStrictEqual(found, { changed: true, new: true, removed: false })
          })
        )
      })
    )
  )
}

const dbiCases = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("a DBI that is new is reported whole, one that was dropped not at all", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const found = yield* changesOf(
          (transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "v")
          },
          (transaction) => {
            transaction.drop(a)
            transaction.create(b, 0)
            put(transaction, b, "k", "v")
          }
        )
        assert.deepStrictEqual(found, { b: ["k"] })
      })
    )
  )

  it.live("one that was recreated is compared with the one before it", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const found = yield* changesOf(
          (transaction) => {
            transaction.create(a, 0)
            fill(transaction, a, 0, 10)
          },
          (transaction) => transaction.drop(a),
          (transaction) => {
            transaction.create(a, 0)
            fill(transaction, a, 3, 12)
          }
        )
        assert.deepStrictEqual(found, { a: [0, 1, 2, 10, 11].map(number) })
      })
    )
  )

  it.live("with other flags, all keys of both are reported", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const found = yield* changesOf(
          (transaction) => {
            transaction.create(a, 0)
            for (const key of ["1", "2"]) put(transaction, a, key, "same")
          },
          (transaction) => transaction.drop(a),
          (transaction) => {
            transaction.create(a, DbiFlags.DUPSORT)
            for (const key of ["2", "3"]) put(transaction, a, key, "same")
          }
        )
        assert.deepStrictEqual(found, { a: ["1", "2", "3"] })
      })
    )
  )

  it.live("a DBI can be passed over, and a walk ended", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { changes, read } = yield* Lmdb
            yield* change((transaction) => transaction.create(a, 0))
            const before = yield* read
            yield* change((transaction) => {
              transaction.create(b, 0)
              for (const dbi of [a, b]) fill(transaction, dbi, 0, 100)
            })
            const after = yield* read
            const reported: Array<string> = []
            const walk = yield* changes(before, after, {
              dbi: ({ entries, flags, name }) => {
                assert.deepStrictEqual({ entries, flags }, { entries: 100, flags: 0 })
                return name === b
              },
              key: (key, start, end) => {
                reported.push(Buffer.from(key.subarray(start, end)).toString())
                return reported.length < 2
              }
            })
            while (!walk.run(Infinity));
            assert.isTrue(walk.run(Infinity), "it does not begin again")
            assert.deepStrictEqual(reported, [number(0), number(1)])
          })
        )
      })
    )
  )
}

/** Walks over the changes of two DBIs with 5,000 new entries each. Skips the rest of the first one as it is told. */
const walked = (skip: { readonly afterKeys?: number; readonly afterShare?: number }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { changes, read } = yield* Lmdb
      yield* change((transaction) => [a, b].forEach((dbi) => transaction.create(dbi, 0)))
      const before = yield* read
      yield* change((transaction) => [a, b].forEach((dbi) => fill(transaction, dbi, 0, 5_000)))
      const reports = new Map([a, b].map((dbi) => [dbi, { keys: 0, shares: new Array<number>() }]))
      let current = reports.get(a)!
      const isWanted = () => {
        const { keys, shares } = reports.get(a)!
        return current !== reports.get(a)! || (keys !== skip.afterKeys && !((shares.at(-1) ?? 0) >= skip.afterShare!))
      }
      const walk = yield* changes(before, yield* read, {
        dbi: ({ name }) => {
          current = reports.get(name)!
          return true
        },
        key: () => {
          current.keys++
          return isWanted()
        },
        compared: (share) => {
          current.shares.push(share)
          return isWanted()
        }
      })
      while (!walk.run(0));
      return { a: reports.get(a)!, b: reports.get(b)! }
    })
  )

const skipCases = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("the rest of a DBI can be skipped after a key, and the next DBI is reported", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const found = yield* walked({ afterKeys: 7 })
        assert.strictEqual(found.a.keys, 7)
        assert.strictEqual(found.b.keys, 5_000)
      })
    )
  )

  it.live(
    "the share that has been compared rises with the keys, and the rest of a DBI can be skipped at any share",
    () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const found = yield* walked({ afterShare: 0.25 })
          assert.isAbove(found.a.keys, 500)
          assert.isBelow(found.a.keys, 2_500)
          const { keys, shares } = found.b
          assert.strictEqual(keys, 5_000)
          assert.isAbove(shares.length, 10)
          assert.deepStrictEqual(
            shares,
            shares.toSorted((x, y) => x - y)
          )
          assert.isAtLeast(shares[0]!, 0)
          assert.isAtMost(shares.at(-1)!, 1)
          assert.isAbove(shares.at(-1)!, 0.8)
        })
      )
  )
}

const little = (value: number) => Buffer.from(Uint32Array.of(value).buffer).toString("latin1")

const orderCases = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("in the order of integer and of reversed keys", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        const keys = [255, 256, 70_000, 16_777_216]
        const found = yield* changesOf(
          (transaction) => {
            transaction.create(a, DbiFlags.INTEGERKEY)
            transaction.create(b, DbiFlags.REVERSEKEY)
            for (const key of keys) put(transaction, a, little(key), "v")
            for (const key of ["az", "by", "cx"]) put(transaction, b, key, "v")
          },
          (transaction) => {
            for (const key of [256, 16_777_216]) put(transaction, a, little(key), "changed")
            removeKey(transaction, a, little(70_000))
            for (const key of ["az", "cx", "dw"]) put(transaction, b, key, "changed")
          }
        )
        assert.deepStrictEqual(found, { a: keys.slice(1).map(little), b: ["dw", "cx", "az"] })
      })
    )
  )

  for (const [what, flags] of [
    ["", 0],
    [" of one size", DbiFlags.DUPFIXED]
  ] as const) {
    it.live(`keys with several values${what}: single, in a page, in a tree of their own`, () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const counts = { one: 1, few: 5, many: 1_000 }
          const find = (...then: ReadonlyArray<(transaction: WriteTransaction) => void>) =>
            changesOf(
              (transaction) => {
                if (transaction.dbis().length === 0) transaction.create(a, DbiFlags.DUPSORT | flags)
                clear(transaction, a)
                for (const [key, count] of Object.entries(counts))
                  for (let i = 0; i < count; i++) put(transaction, a, key, number(i))
              },
              ...then
            )
          const keys = Object.keys(counts)
          const toEach =
            (run: (transaction: WriteTransaction, key: string) => void) => (transaction: WriteTransaction) =>
              keys.forEach((key) => run(transaction, key))

          assert.deepStrictEqual(yield* find(toEach((transaction, key) => put(transaction, a, key, "more.."))), {
            a: ["few", "many", "one"]
          })
          // The number of values stays the same.
          const replace = toEach((transaction, key) => {
            put(transaction, a, key, "other.".slice(0, 6))
            removePair(transaction, a, key, number(0))
          })
          assert.deepStrictEqual(yield* find(replace), { a: ["few", "many", "one"] })
          // The values stay the same, but they are stored differently: a page has become a tree.
          const more = Array.from({ length: 500 }, (_, i) => number(900_000 + i))
          const grow = toEach((transaction, key) => more.forEach((value) => put(transaction, a, key, value)))
          const shrink = toEach((transaction, key) => more.forEach((value) => removePair(transaction, a, key, value)))
          assert.deepStrictEqual(yield* find(grow, shrink), {})
          assert.deepStrictEqual(yield* find(grow), { a: ["few", "many", "one"] })
          assert.deepStrictEqual(yield* find((transaction) => removePair(transaction, a, "many", number(999))), {
            a: ["many"]
          })
          assert.deepStrictEqual(
            yield* find(
              (transaction) => removeKey(transaction, a, "many"),
              toEach((transaction, key) => put(transaction, a, key, number(0)))
            ),
            { a: ["many"] }
          )
        })
      )
    )
  }
}

const misuseCases = (withSubject: ReturnType<typeof withSubjectOf>) => {
  it.live("fails where the views are the wrong way round, or have ended", () =>
    withSubject(
      Effect.fnUntraced(function* () {
        yield* change((transaction) => transaction.create(a, 0))
        const { changes, read } = yield* Lmdb
        const sink = { dbi: () => true, key: () => true }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const before = yield* read
            yield* change((transaction) => put(transaction, a, "k", "v"))
            const after = yield* read
            assert.include(
              (yield* Effect.flip(changes(after, before, sink))).message,
              "the older view is of transaction 2, the newer one of 1"
            )
            const walk = yield* Effect.scoped(Effect.flatMap(read, (ended) => changes(before, ended, sink)))
            assert.strictEqual(
              thrown(() => walk.run(Infinity)),
              "LmdbFailure"
            )
          })
        )
      })
    )
  )
}

export const suite = (name: string, make: MakeSubject) => {
  const withSubject = withSubjectOf(make)
  describe(`Lmdb (${name}): changes between two views`, () => {
    plainCases(withSubject)
    presenceCase(withSubject)
    dbiCases(withSubject)
    skipCases(withSubject)
    orderCases(withSubject)
    misuseCases(withSubject)

    it.live("of another process", () =>
      withSubject(
        Effect.fnUntraced(function* ({ application }) {
          const { read } = yield* Lmdb
          yield* application({ do: "create", dbi: "a", flags: 0 }, { do: "fill", dbi: "a", entries: 500, bytes: 100 })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const before = yield* read
              yield* application({ do: "put", dbi: "a", key: hex("00000007"), value: hex("v") })
              yield* application({ do: "remove", dbi: "a", key: hex("00000300") })
              assert.deepStrictEqual(yield* changesBetween(before, yield* read), { a: ["00000007", "00000300"] })
            })
          )
        })
      )
    )
  })
}
