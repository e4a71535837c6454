/**
 * The memory layer is what tests of the engine trust: so it and the real one are given the same transactions, and must
 * show the same after each.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import * as DbiFlags from "../../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb, type ReadTransaction, type WriteTransaction } from "../../../src/services/Lmdb.ts"
import { changesBetween } from "../../contracts/lmdb-contract-changes.ts"
import { directory, optionsOf } from "../../support/fakes/LmdbNativeSubject.ts"

/** One of each order of keys and of values. */
const flagsOf: ReadonlyArray<number> = [
  0,
  DbiFlags.REVERSEKEY,
  DbiFlags.INTEGERKEY,
  DbiFlags.DUPSORT,
  DbiFlags.DUPSORT | DbiFlags.REVERSEDUP,
  DbiFlags.DUPSORT | DbiFlags.DUPFIXED | DbiFlags.INTEGERDUP,
  DbiFlags.DUPSORT | DbiFlags.INTEGERKEY
]

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Operation = Schema.Struct({
  kind: Schema.Literals(["put", "put", "put", "put", "append", "remove", "removePair", "get", "drop", "create"]),
  dbi: small(flagsOf.length - 1),
  // Few different ones, so that they meet.
  key: Schema.Array(small(2)).check(Schema.isMaxLength(2)),
  number: small(1),
  value: small(7)
})
type Operation = typeof Operation.Type

/** A few operations each; those that end with `fails` are aborted. */
const Transaction = Schema.Struct({
  operations: Schema.Array(Operation).check(Schema.isMaxLength(12)),
  fails: Schema.Boolean
})

const nameOf = (index: number) => DbiName.fromText(`dbi ${index}`)

const keyOf = ({ dbi, key, number }: Operation): Uint8Array =>
  (flagsOf[dbi]! & DbiFlags.INTEGERKEY) === 0
    ? Uint8Array.from([...key, 127 * number])
    : Uint8Array.from([number, ...key, 0, 0, 0, 0].slice(0, 4))

const valueOf = ({ dbi, value }: Operation): Uint8Array =>
  (flagsOf[dbi]! & DbiFlags.DUPFIXED) === 0
    ? Uint8Array.from({ length: value % 4 }, (_, i) => value * (i + 1))
    : Uint8Array.of(value, value >> 2, 0, 0)

/** What it answers, if anything. */
const take = (transaction: WriteTransaction, operation: Operation): unknown => {
  const name = nameOf(operation.dbi)
  const key = keyOf(operation)
  const value = valueOf(operation)
  if (!transaction.dbis().some((dbi) => dbi.name === name)) transaction.create(name, flagsOf[operation.dbi]!)
  switch (operation.kind) {
    case "put":
    case "append":
      return transaction.put(name, key, 0, key.length, value, 0, value.length, operation.kind === "append")
    case "remove":
      return transaction.remove(name, key, 0, key.length)
    case "removePair":
      // Of DUPSORT DBIs only.
      if ((flagsOf[operation.dbi]! & DbiFlags.DUPSORT) === 0) return undefined
      return transaction.removePair(name, key, 0, key.length, value, 0, value.length)
    case "get": {
      const found = transaction.get(name, key, 0, key.length)
      return found === undefined
        ? undefined
        : Buffer.from(found.value.subarray(found.valueStart, found.valueEnd)).toString("hex")
    }
    case "drop":
      return transaction.drop(name)
    case "create":
      return undefined
  }
}

const contentOf = (transaction: ReadTransaction) =>
  transaction.dbis.map((dbi) => {
    const cursor = transaction.cursor(dbi.name)
    const entries: Array<string> = []
    while (cursor.next()) {
      const key = Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)).toString("hex")
      entries.push(`${key}=${Buffer.from(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)).toString("hex")}`)
    }
    return { ...dbi, content: entries }
  })

const run = (transactions: ReadonlyArray<typeof Transaction.Type>) =>
  Effect.flatMap(Lmdb, ({ read, write }) =>
    Effect.forEach(transactions, ({ fails, operations }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const before = yield* read
          const exit = yield* Effect.exit(
            write((transaction) =>
              Effect.suspend(() => {
                const answers = operations.map((operation) => take(transaction, operation))
                return fails
                  ? Effect.fail("on purpose" as const)
                  : Effect.succeed({ answers, dbis: transaction.dbis() })
              })
            )
          )
          const outcome = Exit.isSuccess(exit)
            ? { ...exit.value, lockHeldMillis: 0 }
            : exit.cause.reasons.map((reason) => reason._tag)
          const after = yield* read
          return {
            outcome,
            changes: yield* changesBetween(before, after),
            after: { id: after.id, content: contentOf(after) }
          }
        })
      )
    )
  )

describe("Lmdb layers", () => {
  it.live.prop(
    "show the same after the same transactions",
    [Schema.Array(Transaction).check(Schema.isMaxLength(6))],
    ([transactions]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const expected = yield* Effect.provide(
            run(transactions),
            LmdbNative.layerWith(optionsOf(`${yield* directory}/lmdb`))
          )
          const found = yield* Effect.provide(run(transactions), LmdbMemory.layerWith())
          assert.deepStrictEqual(found, expected)
        })
      ),
    { arbitrary: { runs: 300 } }
  )
})
