/** The part of the contract of `Lmdb` about the content that a single process writes and reads. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import type { ReadTransaction } from "../../src/services/Lmdb.ts"
import {
  a,
  b,
  bytes,
  change,
  current,
  entries,
  lastId,
  type MakeSubject,
  put,
  reasonOf,
  thrown,
  view,
  withSubjectOf
} from "../support/fakes/LmdbSubject.ts"

const integer = (value: number) => Buffer.from(Uint32Array.of(value).buffer)

const nameOf = (length: number) => DbiName.fromText("n".repeat(length))

export const suite = (name: string, make: MakeSubject) => {
  const withSubject = withSubjectOf(make)

  const withEntries = (use: (transaction: ReadTransaction) => void) =>
    withSubject(
      Effect.fnUntraced(function* () {
        yield* change((transaction) => {
          transaction.create(a, 0)
          transaction.create(b, 0)
          for (const key of ["k1", "k2", "k3"]) {
            put(transaction, a, key, `of a ${key}`)
            put(transaction, b, key, `of b ${key}`.repeat(30))
          }
        })
        yield* view(use)
      })
    )

  const order = (flags: number, keys: ReadonlyArray<string>) =>
    withSubject(
      Effect.fnUntraced(function* () {
        yield* change((transaction) => {
          transaction.create(a, flags)
          for (const key of keys) put(transaction, a, key, "")
        })
        return yield* view((transaction) => entries(transaction, a).map((entry) => entry.slice(0, -1)))
      })
    )

  describe(`Lmdb (${name}): reading and writing`, () => {
    it.live("what is written is read, in order, with id, flags and counts", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          assert.strictEqual(yield* lastId, 0n)
          const written = yield* change((transaction) => {
            assert.strictEqual(transaction.id, 1n)
            transaction.create(b, DbiFlags.DUPSORT)
            transaction.create(a, 0)
            put(transaction, a, "k2", "two")
            put(transaction, a, "k1", "one")
            put(transaction, a, "k10", "")
          })
          assert.deepInclude(written, { id: 1n, wrote: true, value: undefined })
          assert.isAtLeast(written.lockHeldMillis, 0)
          assert.strictEqual(yield* lastId, 1n)
          yield* view((transaction) => {
            assert.strictEqual(transaction.id, 1n)
            assert.deepStrictEqual(transaction.dbis, [
              { name: a, flags: 0, entries: 3 },
              { name: b, flags: 4, entries: 0 }
            ])
            assert.deepStrictEqual(entries(transaction, a), ["k1=one", "k10=", "k2=two"])
            assert.deepStrictEqual(entries(transaction, b), [])
          })
        })
      )
    )

    it.live("a transaction that writes nothing is not recorded, and its id is used again", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => transaction.create(a, 0))
          const nothing = yield* change((transaction) => {
            assert.isUndefined(transaction.get(a, bytes("k"), 0, 1))
            assert.isFalse(transaction.remove(a, bytes("k"), 0, 1))
          })
          assert.deepInclude(nothing, { id: 2n, wrote: false })
          assert.strictEqual(yield* lastId, 1n)
          assert.deepInclude(yield* change((transaction) => put(transaction, a, "k", "v")), { id: 2n, wrote: true })
          assert.strictEqual(yield* lastId, 2n)
        })
      )
    )

    it.live("get, put, remove, clear and drop act on what the transaction itself has done", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "first")
            put(transaction, a, "k", "second")
            const found = transaction.get(a, bytes("-k-"), 1, 2)
            assert.strictEqual(
              Buffer.from(found!.value.subarray(found!.valueStart, found!.valueEnd)).toString(),
              "second"
            )
            assert.isTrue(transaction.remove(a, bytes("k"), 0, 1))
            assert.isFalse(transaction.remove(a, bytes("k"), 0, 1))
            put(transaction, a, "m", "")
            const empty = transaction.get(a, bytes("m"), 0, 1)
            assert.strictEqual(empty!.valueEnd - empty!.valueStart, 0)
            assert.deepStrictEqual(transaction.dbis(), [{ name: a, flags: 0, entries: 1 }])
            assert.isTrue(transaction.remove(a, bytes("m"), 0, 1))
            assert.deepStrictEqual(transaction.dbis(), [{ name: a, flags: 0, entries: 0 }])
            put(transaction, a, "n", "after")
            transaction.create(b, 0)
            transaction.drop(b)
            assert.strictEqual(
              thrown(() => put(transaction, b, "k", "v")),
              "DbiMissing"
            )
          })
          yield* view((transaction) => {
            assert.deepStrictEqual(transaction.dbis, [{ name: a, flags: 0, entries: 1 }])
            assert.deepStrictEqual(entries(transaction, a), ["n=after"])
          })
        })
      )
    )

    it.live("of a key with several values, one goes, or all of them", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, DbiFlags.DUPSORT)
            for (const key of ["k", "l"]) for (const value of ["one", "three", "two"]) put(transaction, a, key, value)
          })
          yield* change((transaction) => {
            const pair = (value: string) =>
              transaction.removePair(a, bytes("-k-"), 1, 2, bytes(`--${value}`), 2, 2 + value.length)
            assert.isTrue(pair("three"))
            assert.isFalse(pair("three"))
            assert.isFalse(pair("on"))
            assert.isTrue(transaction.remove(a, bytes("l"), 0, 1))
          })
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["k=one", "k=two"]))
        })
      )
    )

    it.live("a DBI may be dropped and made again with other flags in one transaction", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "v")
          })
          yield* change((transaction) => {
            transaction.drop(a)
            transaction.create(a, DbiFlags.DUPSORT)
            put(transaction, a, "k", "v2")
            put(transaction, a, "k", "v1")
          })
          yield* view((transaction) => {
            assert.deepStrictEqual(transaction.dbis, [{ name: a, flags: 4, entries: 2 }])
            assert.deepStrictEqual(entries(transaction, a), ["k=v1", "k=v2"])
          })
          assert.strictEqual(yield* reasonOf(change((transaction) => transaction.create(a, 0))), "LmdbFailure")
        })
      )
    )

    it.live("a DBI that is not there is missing, for reading and for writing", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          assert.strictEqual(yield* view((transaction) => thrown(() => transaction.cursor(a))), "DbiMissing")
          assert.strictEqual(yield* reasonOf(change((transaction) => put(transaction, a, "k", "v"))), "DbiMissing")
          assert.strictEqual(yield* reasonOf(change((transaction) => transaction.drop(a))), "DbiMissing")
          assert.strictEqual(yield* lastId, 0n)
        })
      )
    )

    it.live("names of DBIs have 1 to 511 bytes", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          for (const length of [0, 512]) {
            const error = yield* Effect.flip(change((transaction) => transaction.create(nameOf(length), 0)))
            assert.include(error.message, `a name of ${length} bytes, but those of DBIs have 1 to 511`)
            assert.strictEqual(yield* lastId, 0n)
          }
          yield* change((transaction) => transaction.create(nameOf(511), 0))
          yield* view((transaction) => assert.lengthOf(transaction.dbis, 1))
        })
      )
    )

    it.live("keys have 1 to 511 bytes, integer keys 4 or 8, values of DUPSORT at most 511", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const integers = DbiName.fromText("integers")
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.create(b, DbiFlags.DUPSORT)
            transaction.create(integers, DbiFlags.INTEGERKEY)
            put(transaction, a, "x", "shortest")
            put(transaction, a, "y".repeat(511), "longest")
            assert.strictEqual(
              thrown(() => put(transaction, a, "", "v")),
              "KeyTooLong"
            )
            assert.strictEqual(
              thrown(() => put(transaction, a, "z".repeat(512), "v")),
              "KeyTooLong"
            )
            assert.strictEqual(
              thrown(() => put(transaction, integers, "abc", "v")),
              "LmdbFailure"
            )
            put(transaction, b, "k", "v".repeat(511))
            assert.strictEqual(
              thrown(() => put(transaction, b, "k", "v".repeat(512))),
              "LmdbFailure"
            )
          })
          yield* view((transaction) =>
            assert.deepStrictEqual(entries(transaction, a), ["x=shortest", `${"y".repeat(511)}=longest`])
          )
        })
      )
    )

    it.live("offsets beyond the buffer are a defect, not a read beyond it", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const exit = yield* Effect.exit(
            change((transaction) => {
              transaction.create(a, 0)
              transaction.put(a, bytes("k"), 0, 1, bytes("v"), 0, 2, false)
            })
          )
          assert.strictEqual(exit._tag, "Failure")
          assert.strictEqual(yield* lastId, 0n)
        })
      )
    )

    it.live("appending takes keys in order, and refuses one that does not come last", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k1", "v", true)
            put(transaction, a, "k2", "v", true)
          })
          assert.strictEqual(
            yield* reasonOf(change((transaction) => put(transaction, a, "k1", "again", true))),
            "LmdbFailure"
          )
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["k1=v", "k2=v"]))
        })
      )
    )

    it.live("a large value is stored and shown whole, and small ones after it", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const large = Buffer.alloc(20_000_000, "large")
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.put(a, bytes("1"), 0, 1, large, 0, large.length, true)
            put(transaction, a, "2", "small", true)
            const found = transaction.get(a, bytes("1"), 0, 1)!
            assert.isTrue(large.equals(found.value.subarray(found.valueStart, found.valueEnd)))
          })
          yield* view((transaction) => {
            const cursor = transaction.cursor(a)
            assert.isTrue(cursor.next())
            assert.isTrue(large.equals(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)))
            assert.isTrue(cursor.next())
            assert.strictEqual(current(cursor), "2=small")
          })
        })
      )
    )

    it.live(
      "a value larger than any before is shown whole by a cursor, also when another one goes on, and small ones around it",
      () =>
        withSubject(
          Effect.fnUntraced(function* () {
            // After `get` has found a value, the buffer has room for twice its size.
            const large = Buffer.alloc(45_000_000, "larger")
            yield* change((transaction) => {
              transaction.create(a, 0)
              put(transaction, a, "1", "small", true)
              transaction.put(a, bytes("2"), 0, 1, large, 0, large.length, true)
              put(transaction, a, "3", "small, too", true)
            })
            yield* view((transaction) => {
              const [cursor, other] = [transaction.cursor(a), transaction.cursor(a)]
              assert.isTrue(cursor.next() && cursor.next())
              assert.isTrue(other.next())
              assert.strictEqual(current(other), "1=small")
              assert.strictEqual(Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)).toString(), "2")
              assert.isTrue(large.equals(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)))
              assert.isTrue(cursor.next())
              assert.strictEqual(current(cursor), "3=small, too")
              assert.strictEqual(current(other), "1=small")
            })
          })
        )
    )

    it.live("a value may be in memory that is shared with other threads", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          // This is a Buffer, whose `slice` does not copy.
          const shared = Buffer.from(new SharedArrayBuffer(8))
          shared.set(bytes("--value-"))
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.put(a, shared, 2, 7, shared, 2, 7, false)
          })
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["value=value"]))
        })
      )
    )
  })

  describe(`Lmdb (${name}): order`, () => {
    it.live("plain keys are in byte order, a prefix first", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* order(0, ["\xff", "b", "ab", "a", "\x00"]), ["\x00", "a", "ab", "b", "\xff"])
      })
    )

    it.live("integer keys are in numerical order, of 4 and of 8 bytes", () =>
      Effect.gen(function* () {
        const four = ["\x00\x01\x00\x00", "\xff\x00\x00\x00", "\x01\x00\x00\x00", "\x00\x00\x00\x80"]
        assert.deepStrictEqual(yield* order(DbiFlags.INTEGERKEY, four), [four[2], four[1], four[0], four[3]])
        const eight = four.map((key) => `${key}\x00\x00\x00\x00`)
        assert.deepStrictEqual(yield* order(DbiFlags.INTEGERKEY, eight), [eight[2], eight[1], eight[0], eight[3]])
      })
    )

    it.live("reversed keys are in byte order from their ends", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* order(DbiFlags.REVERSEKEY, ["az", "b", "ab", "ba", "a"]), [
          "a",
          "ba",
          "b",
          "ab",
          "az"
        ])
      })
    )

    it.live("an empty value is the only one of its key, or refused: LMDB would lose it", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, DbiFlags.DUPSORT)
            put(transaction, a, "j", "")
            put(transaction, a, "j", "")
            put(transaction, a, "k", "v")
            assert.strictEqual(
              thrown(() => put(transaction, a, "j", "v")),
              "LmdbFailure"
            )
            assert.strictEqual(
              thrown(() => put(transaction, a, "k", "")),
              "LmdbFailure"
            )
          })
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["j=", "k=v"]))
        })
      )
    )

    it.live("the values of a key are in their order, each once, and go together", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, DbiFlags.DUPSORT)
            transaction.create(b, DbiFlags.DUPSORT | DbiFlags.REVERSEDUP)
            for (const value of ["az", "b", "ab", "b"]) {
              put(transaction, a, "k", value, true)
              put(transaction, b, "k", value)
            }
            put(transaction, a, "j", "first")
            put(transaction, a, "l", "last")
            const found = transaction.get(a, bytes("k"), 0, 1)!
            assert.strictEqual(Buffer.from(found.value.subarray(found.valueStart, found.valueEnd)).toString(), "ab")
          })
          yield* view((transaction) => {
            assert.deepStrictEqual(entries(transaction, a), ["j=first", "k=ab", "k=az", "k=b", "l=last"])
            assert.deepStrictEqual(entries(transaction, b), ["k=b", "k=ab", "k=az"])
            assert.deepStrictEqual(entries(transaction, a, "k"), ["k=ab", "k=az", "k=b", "l=last"])
            assert.strictEqual(transaction.dbis[0]!.entries, 5)
          })
          yield* change((transaction) => assert.isTrue(transaction.remove(a, bytes("k"), 0, 1)))
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["j=first", "l=last"]))
        })
      )
    )
  })

  describe(`Lmdb (${name}): cursors`, () => {
    it.live("begin at or after a key", () =>
      withEntries((transaction) => {
        assert.deepStrictEqual(entries(transaction, a, "k2"), ["k2=of a k2", "k3=of a k3"])
        assert.deepStrictEqual(entries(transaction, a, "k11"), ["k2=of a k2", "k3=of a k3"])
        assert.deepStrictEqual(entries(transaction, a, "k9"), [])
        assert.strictEqual(entries(transaction, a, "").length, 3)
      })
    )

    it.live("seek forward and back, before the first step and after, and stay at the end", () =>
      withEntries((transaction) => {
        const cursor = transaction.cursor(a)
        const other = transaction.cursor(b)
        assert.isTrue(other.next())
        const seek = (key: string) => cursor.seek(bytes(`__${key}_`), 2, 2 + key.length) && current(cursor)
        assert.strictEqual(seek("k2"), "k2=of a k2")
        assert.strictEqual(cursor.next() && current(cursor), "k3=of a k3")
        assert.strictEqual(seek("k"), "k1=of a k1")
        assert.strictEqual(seek("k11"), "k2=of a k2")
        assert.strictEqual(current(other), `k1=${"of b k1".repeat(30)}`, "what another one shows stays")
        assert.strictEqual(other.next() && current(other), `k2=${"of b k2".repeat(30)}`)
        assert.strictEqual(current(cursor), "k2=of a k2")
        assert.isFalse(seek("k4"))
        assert.isFalse(cursor.next())
        assert.isFalse(seek("k1"))
      })
    )

    it.live("seek in the order of integers", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, DbiFlags.INTEGERKEY)
            for (const key of [1, 256, 65_536]) put(transaction, a, integer(key).toString("latin1"), String(key))
          })
          yield* view((transaction) => {
            const cursor = transaction.cursor(a)
            assert.isTrue(cursor.seek(integer(2), 0, 4))
            assert.deepStrictEqual(Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)), integer(256))
          })
        })
      )
    )

    it.live("stay at the end, and may be closed more than once", () =>
      withEntries((transaction) => {
        const cursor = transaction.cursor(a, bytes("k3"))
        assert.isTrue(cursor.next())
        assert.isFalse(cursor.next())
        assert.isFalse(cursor.next())
        cursor.close()
        cursor.close()
        const other = transaction.cursor(a)
        other.close()
        assert.isFalse(other.next())
      })
    )

    it.live("show their entry until their own next step, over two DBIs and over one", () =>
      withEntries((transaction) => {
        const cursors = [transaction.cursor(a), transaction.cursor(b), transaction.cursor(a, bytes("k2"))]
        for (const cursor of cursors) assert.isTrue(cursor.next())
        const shown = () => cursors.map((cursor) => current(cursor).slice(0, 10))
        assert.deepStrictEqual(shown(), ["k1=of a k1", "k1=of b k1", "k2=of a k2"])
        assert.isTrue(cursors[1]!.next())
        assert.deepStrictEqual(shown(), ["k1=of a k1", "k2=of b k2", "k2=of a k2"])
        assert.isTrue(cursors[0]!.next())
        assert.isTrue(cursors[0]!.next())
        assert.deepStrictEqual(shown(), ["k3=of a k3", "k2=of b k2", "k2=of a k2"])
      })
    )

    it.live(
      "forget their own entry and nobody else's: what others show stays, and the next step is the next entry",
      () =>
        withEntries((transaction) => {
          const [first, second] = [transaction.cursor(a), transaction.cursor(b)]
          first.forget()
          const pairs: Array<string> = []
          while (first.next() && second.next()) {
            // The other cursor shows the package's own buffer.
            first.forget()
            const other = transaction.cursor(a)
            assert.isTrue(other.next())
            other.forget()
            assert.isTrue(other.next())
            pairs.push(current(second).slice(0, 10))
            second.forget()
          }
          assert.deepStrictEqual(pairs, ["k1=of b k1", "k2=of b k2", "k3=of b k3"])
          assert.isFalse(second.next())
          second.forget()
        })
    )

    it.live("may be what is put, in place, with long keys, and beside other values of the key", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const keys = ["k".repeat(100), "l".repeat(511)]
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.create(b, DbiFlags.DUPSORT)
            for (const key of keys) {
              put(transaction, a, key, `of a ${key}`.slice(0, 511))
              put(transaction, b, key, `of b ${key}`.slice(0, 400))
            }
          })
          const copied = DbiName.fromText("copied")
          yield* change((transaction) => {
            transaction.create(copied, 0)
            const cursor = transaction.before.cursor(a)
            while (cursor.next()) {
              for (const dbi of [copied, b, copied]) {
                transaction.put(
                  dbi,
                  cursor.key,
                  cursor.keyStart,
                  cursor.keyEnd,
                  cursor.value,
                  cursor.valueStart,
                  cursor.valueEnd,
                  false
                )
              }
            }
          })
          yield* view((transaction) => {
            const originals = entries(transaction, a)
            assert.deepStrictEqual(entries(transaction, copied), originals)
            assert.deepStrictEqual(
              entries(transaction, b),
              originals.flatMap((entry, i) => [entry, `${keys[i]}=${`of b ${keys[i]}`.slice(0, 400)}`])
            )
          })
        })
      )
    )

    it.live("end with their transaction, and none begins after it", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "v")
          })
          const [transaction, cursor] = yield* view((transaction) => [transaction, transaction.cursor(a)] as const)
          assert.isFalse(cursor.next())
          assert.strictEqual(
            thrown(() => transaction.cursor(a)),
            "LmdbFailure"
          )
        })
      )
    )
  })
}
