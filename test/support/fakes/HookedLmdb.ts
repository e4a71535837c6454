/**
 * A decorator of `Lmdb` that does something between a merge's transactions: where another process would come in
 * between.
 */
import { Effect, Layer } from "effect"
import { Lmdb, type LmdbError } from "../../../src/services/Lmdb.ts"

export interface Hooks {
  /** With how many there were before. */
  readonly beforeWrite?: (before: number) => Effect.Effect<unknown, LmdbError>
  readonly beforeRead?: Effect.Effect<unknown, LmdbError>
}

export const hooked = (
  lmdb: Layer.Layer<Lmdb, LmdbError>,
  { beforeRead = Effect.void, beforeWrite = () => Effect.void }: Hooks
) =>
  Layer.effect(
    Lmdb,
    Effect.map(Lmdb, (inner) => {
      let writes = 0
      return Lmdb.of({
        ...inner,
        read: Effect.andThen(beforeRead, inner.read),
        write: (body) =>
          Effect.andThen(
            Effect.suspend(() => beforeWrite(writes++)),
            inner.write(body)
          )
      })
    })
  ).pipe(Layer.provide(lmdb))
