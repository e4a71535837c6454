/** An `Lmdb` with replaced operations of its write transactions, to plant bugs. */
import type { Layer } from "effect"
import type { Lmdb, LmdbError, WriteTransaction } from "../../../src/services/Lmdb.ts"
import { replacing } from "./ReplacedLmdb.ts"

export type Change = (transaction: WriteTransaction) => Partial<WriteTransaction>

export const changedWrites =
  (change: Change) =>
  (lmdb: Layer.Layer<Lmdb, LmdbError>): Layer.Layer<Lmdb, LmdbError> =>
    replacing(lmdb, (inner) => ({
      write: (body) =>
        inner.write((transaction) =>
          // The operations are methods of a class, which a copy of the object would not contain.
          body(Object.assign(Object.create(transaction) as WriteTransaction, change(transaction)))
        )
    }))
