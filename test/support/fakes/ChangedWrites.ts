/** An Lmdb whose write transactions do some things in another way: for bugs that are planted. */
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
              // Its operations are those of a class: a copy would leave them out.
              body(Object.assign(Object.create(transaction) as WriteTransaction, change(transaction)))
            )
        })
      )
    ).pipe(Layer.provide(lmdb))
