/** An `Lmdb` with replaced operations of its write transactions, to plant bugs. */
import { Effect, Layer } from "effect"
import { Lmdb, type LmdbError, type WriteTransaction } from "../../../src/services/Lmdb.ts"

export type Change = (transaction: WriteTransaction) => Partial<WriteTransaction>

export const changedWrites =
  (change: Change) =>
  (lmdb: Layer.Layer<Lmdb, LmdbError>): Layer.Layer<Lmdb, LmdbError> =>
    Layer.effect(
      Lmdb,
      Effect.map(Lmdb, (inner) =>
        Lmdb.of({
          ...inner,
          write: (body) =>
            inner.write((transaction) =>
              // The operations are methods of a class, which a copy of the object would not contain.
              body(Object.assign(Object.create(transaction) as WriteTransaction, change(transaction)))
            )
        })
      )
    ).pipe(Layer.provide(lmdb))
