/** A decorator of `Lmdb` that replaces some of its operations. */
import { Effect, Layer } from "effect"
import { Lmdb, type LmdbError } from "../../../src/services/Lmdb.ts"

/** `operations` is called once, with the service that is decorated. */
export const replacing = (
  lmdb: Layer.Layer<Lmdb, LmdbError>,
  operations: (inner: Lmdb["Service"]) => Partial<Lmdb["Service"]>
): Layer.Layer<Lmdb, LmdbError> =>
  Layer.effect(
    Lmdb,
    Effect.map(Lmdb, (inner) => Lmdb.of({ ...inner, ...operations(inner) }))
  ).pipe(Layer.provide(lmdb))
