/**
 * The part of the contract of `Lmdb` about concurrent transactions: views, writers, aborts, and the application's
 * commits.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import { Lmdb, type WriteTransaction } from "../../src/services/Lmdb.ts"
import {
  a,
  b,
  bytes,
  change,
  clear,
  current,
  entries,
  hex,
  lastId,
  type MakeSubject,
  put,
  reasonOf,
  thrown,
  view,
  withSubjectOf
} from "../support/fakes/LmdbSubject.ts"

const filled = change((transaction) => {
  transaction.create(a, 0)
  put(transaction, a, "k", "old")
})

/** Makes a change of each kind. */
const changes = (transaction: WriteTransaction) => {
  put(transaction, a, "k", "new")
  transaction.create(b, 0)
  put(transaction, b, "k", "new")
  transaction.drop(a)
}

export const suite = (name: string, make: MakeSubject) => {
  const withSubject = withSubjectOf(make)

  describe(`Lmdb (${name}): isolation`, () => {
    it.live("a view stays as it is, whatever is committed after it", () =>
      withSubject(
        Effect.fnUntraced(function* ({ application }) {
          const { read } = yield* Lmdb
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "old")
          })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const transaction = yield* read
              yield* change((transaction) => put(transaction, a, "k", "new"))
              yield* application({ do: "put", dbi: "a", key: hex("j"), value: hex("theirs") })
              assert.deepStrictEqual(entries(transaction, a), ["k=old"])
              assert.strictEqual(transaction.id, 1n)
              const second = yield* read
              assert.deepStrictEqual(entries(second, a), ["j=theirs", "k=new"])
              assert.strictEqual(second.id, 3n)
              assert.deepStrictEqual(entries(transaction, a), ["k=old"])
            })
          )
        })
      )
    )

    it.live("before shows nothing of what the transaction puts, though it walks what is being overwritten", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const count = 200_000
          const newer = bytes("newer")
          const key = Buffer.alloc(8)
          yield* change((transaction) => {
            transaction.create(a, 0)
            for (let i = 0; i < count; i++) {
              key.writeUInt32BE(i)
              transaction.put(a, key, 0, 8, bytes("old"), 0, 3, true)
            }
          })
          const { write } = yield* Lmdb
          yield* write((transaction) =>
            Effect.gen(function* () {
              const cursor = transaction.before.cursor(a)
              let seen = 0
              while (cursor.next()) {
                if (cursor.valueEnd - cursor.valueStart !== 3) assert.fail(current(cursor))
                transaction.put(a, cursor.key, cursor.keyStart, cursor.keyEnd, newer, 0, 5, false)
                if (++seen % 10_000 === 0) yield* Effect.yieldNow
              }
              assert.strictEqual(seen, count)
              assert.strictEqual(transaction.before.id, 1n)
              assert.deepStrictEqual(transaction.before.dbis, [{ name: a, flags: 0, entries: count }])
            })
          )
          yield* view((transaction) => {
            const cursor = transaction.cursor(a)
            let seen = 0
            while (cursor.next()) {
              seen++
              if (cursor.valueEnd - cursor.valueStart !== 5) assert.fail(current(cursor))
            }
            assert.strictEqual(seen, count)
          })
        })
      )
    )

    it.live("while a transaction is paused others read what was there before, and the next writer waits", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const { write } = yield* Lmdb
          yield* change((transaction) => transaction.create(a, 0))
          const paused = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const first = yield* Effect.forkChild(
            write((transaction) =>
              Effect.gen(function* () {
                put(transaction, a, "k", "first")
                yield* Deferred.succeed(paused, undefined)
                yield* Deferred.await(goOn)
                put(transaction, a, "l", "first")
              })
            )
          )
          yield* Deferred.await(paused)
          const second = yield* Effect.forkChild(change((transaction) => put(transaction, a, "m", "second")))
          yield* Effect.sleep(20)
          assert.strictEqual(yield* lastId, 1n)
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), []))
          yield* Deferred.succeed(goOn, undefined)
          assert.strictEqual((yield* Fiber.join(first)).id, 2n)
          assert.strictEqual((yield* Fiber.join(second)).id, 3n)
          yield* view((transaction) =>
            assert.deepStrictEqual(entries(transaction, a), ["k=first", "l=first", "m=second"])
          )
        })
      )
    )

    it.live("a write transaction that has ended does nothing any more, whether it was committed or aborted", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const { write } = yield* Lmdb
          const kept: Array<WriteTransaction> = []
          const keep = (transaction: WriteTransaction) => {
            kept.push(transaction)
            // The DBI of the put is the one that was used last.
            put(transaction, a, "k", "new")
          }
          yield* filled
          yield* change(keep)
          yield* Effect.exit(
            write((transaction) =>
              Effect.andThen(
                Effect.sync(() => keep(transaction)),
                Effect.die("aborted")
              )
            )
          )
          assert.strictEqual(kept.length, 2)
          const key = bytes("k")
          const uses: ReadonlyArray<(transaction: WriteTransaction) => unknown> = [
            (transaction) => transaction.dbis(),
            (transaction) => put(transaction, a, "k", "late"),
            (transaction) => transaction.get(a, key, 0, 1),
            (transaction) => transaction.remove(a, key, 0, 1),
            (transaction) => transaction.removePair(a, key, 0, 1, key, 0, 1),
            (transaction) => transaction.create(b, 0),
            (transaction) => transaction.drop(a)
          ]
          for (const transaction of kept) {
            for (const use of uses)
              assert.strictEqual(
                thrown(() => use(transaction)),
                "LmdbFailure"
              )
          }
          yield* view((transaction) => {
            assert.strictEqual(transaction.id, 2n)
            assert.deepStrictEqual(
              transaction.dbis.map(({ name }) => name),
              [a]
            )
            assert.deepStrictEqual(entries(transaction, a), ["k=new"])
          })
        })
      )
    )

    it.live("what a paused transaction drops and makes again is read as it was, or after the commit", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const { read, write } = yield* Lmdb
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.create(b, 0)
            put(transaction, a, "k", "old")
          })
          const paused = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const writing = yield* Effect.forkChild(
            write((transaction) => {
              transaction.drop(a)
              transaction.create(a, 0)
              put(transaction, a, "k", "new")
              return Effect.andThen(Deferred.succeed(paused, undefined), Deferred.await(goOn))
            })
          )
          yield* Deferred.await(paused)
          // The reader may have to wait for the handle.
          const reading = yield* Effect.forkChild(
            Effect.scoped(Effect.map(read, (transaction) => [transaction.id, ...entries(transaction, a)].join(" ")))
          )
          yield* Effect.sleep(20)
          yield* Deferred.succeed(goOn, undefined)
          yield* Fiber.join(writing)
          assert.include(["1 k=old", "2 k=new"], yield* Fiber.join(reading))
          yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["k=new"]))
        })
      )
    )

    it.live("one writer at a time in this thread, over all environments", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          const { write } = yield* Lmdb
          const held = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const first = yield* Effect.forkChild(
            write(() => Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(goOn)))
          )
          yield* Deferred.await(held)
          let wrote = false
          const elsewhere = yield* Effect.forkChild(
            withSubject(() =>
              Effect.map(
                change((transaction) => transaction.create(a, 0)),
                () => void (wrote = true)
              )
            )
          )
          yield* Effect.sleep(300)
          assert.isFalse(wrote)
          yield* Deferred.succeed(goOn, undefined)
          yield* Fiber.join(first)
          yield* Fiber.join(elsewhere)
          assert.isTrue(wrote)
        })
      )
    )
  })

  describe(`Lmdb (${name}): aborting`, () => {
    /** Verifies that the transaction has left nothing, and that the next one works as if it had not existed. */
    const untouched = Effect.gen(function* () {
      assert.strictEqual(yield* lastId, 1n)
      yield* view((transaction) => {
        assert.deepStrictEqual(transaction.dbis, [{ name: a, flags: 0, entries: 1 }])
        assert.deepStrictEqual(entries(transaction, a), ["k=old"])
      })
      assert.deepInclude(
        yield* change((transaction) => {
          transaction.create(b, DbiFlags.DUPSORT)
          put(transaction, a, "k", "new")
          put(transaction, b, "k", "new")
        }),
        { id: 2n, wrote: true }
      )
      yield* view((transaction) => assert.deepStrictEqual(entries(transaction, b), ["k=new"]))
    })

    it.live("a failure of the body aborts and is passed on", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          const { write } = yield* Lmdb
          const error = yield* Effect.flip(
            write((transaction) => {
              changes(transaction)
              return Effect.andThen(Effect.yieldNow, Effect.fail("mine" as const))
            })
          )
          assert.strictEqual(error, "mine")
          yield* untouched
        })
      )
    )

    it.live("a defect of the body aborts and is passed on", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          const defect = new Error("a bug")
          const found = yield* Effect.sandbox(
            change((transaction) => {
              changes(transaction)
              throw defect
            })
          ).pipe(Effect.flip)
          assert.deepStrictEqual(
            found.reasons.map((reason) => reason._tag === "Die" && reason.defect === defect),
            [true]
          )
          yield* untouched
        })
      )
    )

    it.live("an interruption aborts, and is over when the transaction is", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          const { write } = yield* Lmdb
          const paused = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            write((transaction) => {
              changes(transaction)
              return Effect.andThen(Deferred.succeed(paused, undefined), Effect.never)
            })
          )
          yield* Deferred.await(paused)
          yield* Fiber.interrupt(fiber)
          yield* untouched
        })
      )
    )

    it.live("what a method throws fails the write as an error", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          assert.strictEqual(
            yield* reasonOf(
              change((transaction) => {
                changes(transaction)
                put(transaction, b, "", "v")
              })
            ),
            "KeyTooLong"
          )
          yield* untouched
        })
      )
    )

    it.live("a full map fails the write with sizes, and nothing is lost", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          const value = Buffer.alloc(50_000)
          const error = yield* Effect.flip(
            change((transaction) => {
              for (let i = 0; i < 1_000; i++)
                transaction.put(a, bytes(`n${i}`), 0, 2 + String(i).length - 1, value, 0, value.length, false)
            })
          )
          const { reason } = error
          assert.isTrue(error.retryable)
          if (reason._tag !== "MapFull") return assert.fail(error.message)
          assert.strictEqual(reason.mapSize, 2 ** 20)
          assert.isAbove(reason.needed, reason.mapSize)
          assert.isAtMost(reason.used, reason.mapSize)
          yield* untouched
        }),
        2 ** 20
      )
    )

    it.live("a full map is not committed though the body goes on", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* filled
          const value = Buffer.alloc(2_000_000)
          assert.strictEqual(
            yield* reasonOf(
              change((transaction) => {
                put(transaction, a, "k", "new")
                assert.strictEqual(
                  thrown(() => transaction.put(a, bytes("l"), 0, 1, value, 0, value.length, false)),
                  "MapFull"
                )
              })
            ),
            "MapFull"
          )
          yield* untouched
        }),
        2 ** 20
      )
    )
  })

  describe(`Lmdb (${name}): the application`, () => {
    it.live("its commits are seen by the next transaction, with their ids", () =>
      withSubject(
        Effect.fnUntraced(function* ({ application }) {
          yield* application(
            { do: "create", dbi: "a", flags: 0 },
            { do: "put", dbi: "a", key: hex("k"), value: hex("v") }
          )
          assert.strictEqual(yield* lastId, 1n)
          yield* view((transaction) => {
            assert.strictEqual(transaction.id, 1n)
            assert.deepStrictEqual(entries(transaction, a), ["k=v"])
          })
          yield* application({ do: "remove", dbi: "a", key: hex("k") })
          const written = yield* change((transaction) => {
            assert.deepStrictEqual(entries(transaction.before, a), [])
            put(transaction, a, "l", "ours")
          })
          assert.strictEqual(written.id, 3n)
        })
      )
    )

    it.live("a DBI that it drops is missing, not empty, and never written through an old handle", () =>
      withSubject(
        Effect.fnUntraced(function* ({ application }) {
          yield* change((transaction) => {
            transaction.create(a, 0)
            transaction.create(b, 0)
            put(transaction, a, "k", "v")
          })
          yield* application({ do: "drop", dbi: "a" })
          yield* view((transaction) => {
            assert.deepStrictEqual(
              transaction.dbis.map(({ name }) => name),
              [b]
            )
            assert.strictEqual(
              thrown(() => transaction.cursor(a)),
              "DbiMissing"
            )
          })
          yield* application({ do: "create", dbi: "a", flags: 0 })
          yield* change((transaction) => put(transaction, a, "k", "again"))
          yield* application({ do: "drop", dbi: "a" })
          assert.strictEqual(yield* reasonOf(change((transaction) => put(transaction, a, "k", "v"))), "DbiMissing")
        })
      )
    )

    it.live("a DBI that it makes again with other flags is read and written with those", () =>
      withSubject(
        Effect.fnUntraced(function* ({ application }) {
          yield* change((transaction) => {
            transaction.create(a, 0)
            put(transaction, a, "k", "v")
          })
          const { read } = yield* Lmdb
          yield* Effect.scoped(
            Effect.gen(function* () {
              const old = yield* read
              const cursor = old.cursor(a)
              yield* application({ do: "drop", dbi: "a" }, { do: "create", dbi: "a", flags: DbiFlags.DUPSORT })
              yield* change((transaction) => {
                assert.deepStrictEqual(transaction.dbis(), [{ name: a, flags: DbiFlags.DUPSORT, entries: 0 }])
                put(transaction, a, "k", "2")
                put(transaction, a, "k", "1")
              })
              yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["k=1", "k=2"]))
              // A walk that was in progress continues with the content that it has seen.
              assert.isTrue(cursor.next())
              assert.strictEqual(current(cursor), "k=v")
              assert.isFalse(cursor.next())
            })
          )
        })
      )
    )

    it.live("a file that was replaced is noticed by everything", () =>
      withSubject(
        Effect.fnUntraced(function* ({ replace }) {
          const { info, lastTransactionId, read } = yield* Lmdb
          yield* change((transaction) => transaction.create(a, 0))
          yield* replace
          assert.strictEqual(yield* reasonOf(lastTransactionId), "Replaced")
          assert.strictEqual(yield* reasonOf(Effect.scoped(read)), "Replaced")
          assert.strictEqual(yield* reasonOf(info), "Replaced")
          assert.strictEqual(yield* reasonOf(change((transaction) => transaction.create(b, 0))), "Replaced")
        })
      )
    )

    it.live("a map that it enlarges ends our transactions", () =>
      withSubject(
        Effect.fnUntraced(function* ({ enlargeMap }) {
          const { read } = yield* Lmdb
          yield* change((transaction) => transaction.create(a, 0))
          yield* enlargeMap
          assert.strictEqual(yield* reasonOf(Effect.scoped(read)), "MapResized")
          assert.strictEqual(yield* reasonOf(change((transaction) => put(transaction, a, "k", "v"))), "MapResized")
          assert.strictEqual(yield* reasonOf(Effect.scoped(read)), "MapResized")
        }),
        2 ** 20
      )
    )

    it.live("info tells sizes and readers", () =>
      withSubject(
        Effect.fnUntraced(function* () {
          yield* change((transaction) => {
            transaction.create(a, 0)
            for (let i = 0; i < 1_000; i++) put(transaction, a, `k${i}`, "v".repeat(100))
          })
          const { info, read } = yield* Lmdb
          const before = yield* info
          assert.deepInclude(before, { lastTransactionId: 1n, mapSize: 2 ** 26, maxReaders: 126 })
          assert.isAtLeast(before.used, 110_000)
          assert.isAtMost(before.used, before.fileSize)
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* read
              assert.strictEqual((yield* info).readers, before.readers + 1)
            })
          )
          yield* change((transaction) => clear(transaction, a))
          assert.isBelow((yield* info).used, 60_000)
        })
      )
    )
  })
}
