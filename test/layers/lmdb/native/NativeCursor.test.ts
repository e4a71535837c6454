/** What cursors say of keys that do not rise in the order of their DBI's flags, whichever order LMDB found them in. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as path from "node:path"
import * as DbiFlags from "../../../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as KeyOrder from "../../../../src/domain/lmdb/KeyOrder.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { type Cursor, Lmdb, LmdbError } from "../../../../src/services/Lmdb.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { setFlags } from "../../../support/fixtures/lmdb/OwnKeyOrder.ts"

const dbi = DbiName.fromText("of an application")

const made = [0, DbiFlags.REVERSEKEY, DbiFlags.INTEGERKEY] as const
const shown = [...made, DbiFlags.DUPSORT] as const

// Few different bytes, so that keys have beginnings and ends in common; and a long one.
const few = Schema.Literals([0, 1, 127, 128, 255])
const Keys = Schema.Array(Schema.Array(few).check(Schema.isMinLength(1), Schema.isMaxLength(9)))
const Case = Schema.Struct({
  made: Schema.Literals(made),
  shown: Schema.Literals(shown),
  keys: Keys,
  long: Schema.Boolean
})

const keysOf = ({ keys, long, made }: typeof Case.Type): ReadonlyArray<Uint8Array> => {
  const bytes = keys.map((key) => Uint8Array.from(key))
  if (made === DbiFlags.INTEGERKEY) return bytes.map((key) => Uint8Array.from([...key, 0, 0, 0, 0].slice(0, 4)))
  return long ? [...bytes, new Uint8Array(511).fill(128)] : bytes
}

const hex = (bytes: Uint8Array, start = 0, end = bytes.length) =>
  Buffer.from(bytes.subarray(start, end)).toString("hex")

/** Keys as far as the cursor shows them, and what it throws then. */
const walk = (cursor: Cursor) => {
  const keys: Array<string> = []
  try {
    while (cursor.next()) keys.push(hex(cursor.key, cursor.keyStart, cursor.keyEnd))
    return { keys, error: undefined }
  } catch (error) {
    if (!(error instanceof LmdbError)) throw error
    assert.isFalse(cursor.next())
    return { keys, error: error.reason }
  }
}

const compare = (flags: number, a: Uint8Array, b: Uint8Array) =>
  KeyOrder.compareKeys(KeyOrder.orderOf(flags), a, 0, a.length, b, 0, b.length)

/** The same by comparing each key with the one before: keys are in the order with which they were made. */
const expectedOf = ({ made, shown }: typeof Case.Type, keys: ReadonlyArray<Uint8Array>) => {
  const sorted = [...new Map(keys.map((key) => [hex(key), key])).values()].sort((a, b) => compare(made, a, b))
  const isInOrder = (a: Uint8Array, b: Uint8Array) =>
    compare(shown, a, b) < 0 && (shown !== DbiFlags.INTEGERKEY || a.length === b.length)
  const wrong = sorted.findIndex((key, i) => i > 0 && !isInOrder(sorted[i - 1]!, key))
  if (wrong < 0) return { keys: sorted.map((key) => hex(key)), error: undefined }
  return {
    keys: sorted.slice(0, wrong).map((key) => hex(key)),
    error: {
      key: hex(sorted[wrong]!),
      before: hex(sorted[wrong - 1]!),
      order: KeyOrder.display(KeyOrder.orderOf(shown))
    }
  }
}

const fill = (file: string, flags: number, keys: ReadonlyArray<Uint8Array>) =>
  Effect.flatMap(Lmdb, ({ write }) =>
    write((transaction) =>
      Effect.sync(() => {
        transaction.create(dbi, flags)
        for (const key of keys) transaction.put(dbi, key, 0, key.length, key, 0, key.length, false)
      })
    )
  ).pipe(Effect.provide(LmdbNative.layerWith(optionsOf(file))))

const read = <A>(file: string, use: (cursor: Cursor) => A) =>
  Effect.flatMap(Lmdb, (lmdb) =>
    Effect.scoped(Effect.map(lmdb.read, (transaction) => use(transaction.cursor(dbi))))
  ).pipe(Effect.provide(LmdbNative.layerWith(optionsOf(file, { create: false }))))

describe("A cursor", () => {
  it.live.prop(
    "shows keys that rise in the order of the flags, and fails with the first that does not",
    [Case],
    ([test]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const file = path.join(yield* directory, "lmdb")
          const keys = keysOf(test)
          yield* fill(file, test.made, keys)
          setFlags(file, "of an application", test.shown)
          const found = yield* read(file, walk)
          const { error, keys: shown } = expectedOf(test, keys)
          assert.deepStrictEqual(found.keys, shown)
          if (error === undefined) assert.isUndefined(found.error)
          else assert.deepInclude({ ...found.error }, { _tag: "KeysNotInOrder", dbi: "of an application", ...error })
        })
      ),
    { arbitrary: { runs: 150 } }
  )

  it.live("takes integer keys of two lengths for keys without an order", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        yield* fill(file, 0, [Uint8Array.of(0, 0, 0, 1), Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 1)])
        setFlags(file, "of an application", DbiFlags.INTEGERKEY)
        const { error, keys } = yield* read(file, walk)
        assert.deepStrictEqual(keys, ["00000001"])
        assert.strictEqual(error?._tag, "KeysNotInOrder")
      })
    )
  )
})
