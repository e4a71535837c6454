/**
 * A decorator of `Lmdb` that runs an effect between the transactions of a merge, where another process could commit.
 */
import { Effect, Layer } from "effect"
import { Lmdb, type LmdbError } from "../../../src/services/Lmdb.ts"

export interface Hooks {
  /** Called with the number of transactions before. */
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
