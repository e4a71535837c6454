/** The subjects of the contract suite of `Lmdb`, and the helper functions of its tests. */
import { Effect, type Layer, type Scope } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import {
  type Cursor,
  Lmdb,
  LmdbError,
  type ReadTransaction,
  type WriteTransaction
} from "../../../src/services/Lmdb.ts"
import type { ApplicationFailed, Step } from "./LmdbApplication.ts"

/** An empty environment, and what another process can do to it. */
export interface Subject {
  readonly layer: Layer.Layer<Lmdb, LmdbError>
  /** Commits the steps. Returns the id of the last transaction. */
  readonly application: (...steps: ReadonlyArray<Step>) => Effect.Effect<bigint, ApplicationFailed | LmdbError>
  readonly replace: Effect.Effect<void>
  /** Enlarges the map, and makes the content larger than the map was. */
  readonly enlargeMap: Effect.Effect<void, ApplicationFailed>
}

export type MakeSubject = (options: { readonly mapSize: number }) => Effect.Effect<Subject, never, Scope.Scope>

export const a = DbiName.fromText("a")
export const b = DbiName.fromText("b")

export const bytes = (text: string) => Buffer.from(text, "latin1")

/** Removes the entries that a DBI had before the transaction, if it existed. */
export const clear = (transaction: WriteTransaction, dbi: DbiName.DbiName): void => {
  const { before } = transaction
  if (!before.dbis.some(({ name }) => name === dbi)) return
  const cursor = before.cursor(dbi)
  while (cursor.next()) {
    const key = cursor.key.slice(cursor.keyStart, cursor.keyEnd)
    transaction.remove(dbi, key, 0, key.length)
  }
  cursor.close()
}

export const put = (transaction: WriteTransaction, dbi: DbiName.DbiName, key: string, value: string, append = false) =>
  transaction.put(dbi, bytes(key), 0, key.length, bytes(value), 0, value.length, append)

export const current = ({ key, keyEnd, keyStart, value, valueEnd, valueStart }: Cursor) =>
  `${Buffer.from(key.subarray(keyStart, keyEnd)).toString("latin1")}=${Buffer.from(value.subarray(valueStart, valueEnd)).toString("latin1")}`

/** Returns all entries, from the first one or from the key `from` on. */
export const entries = (transaction: ReadTransaction, dbi: DbiName.DbiName, from?: string): ReadonlyArray<string> => {
  const cursor = transaction.cursor(dbi, from === undefined ? undefined : bytes(from))
  const found: Array<string> = []
  while (cursor.next()) found.push(current(cursor))
  return found
}

export const view = <A>(use: (transaction: ReadTransaction) => A) =>
  Effect.flatMap(Lmdb, ({ read }) => Effect.scoped(Effect.map(read, use)))

export const change = (use: (transaction: WriteTransaction) => void) =>
  Effect.flatMap(Lmdb, ({ write }) => write((transaction) => Effect.sync(() => use(transaction))))

export const lastId = Effect.flatMap(Lmdb, ({ lastTransactionId }) => lastTransactionId)

/** Returns the tag of the reason with which the effect fails. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, LmdbError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** Returns the tag of the reason of the error that the call throws. */
export const thrown = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    if (error instanceof LmdbError) return error.reason._tag
    throw error
  }
  return "nothing"
}

export const hex = (text: string) => bytes(text).toString("hex")

/** Runs a test with its own environment. */
export const withSubjectOf =
  (make: MakeSubject) =>
  <A, E>(use: (subject: Subject) => Effect.Effect<A, E, Lmdb>, mapSize = 2 ** 26) =>
    Effect.scoped(Effect.flatMap(make({ mapSize }), (subject) => Effect.provide(use(subject), subject.layer)))
