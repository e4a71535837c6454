/**
 * A decorator of `Lmdb` that runs an effect between the transactions of a merge, where another process could commit.
 */
import { Effect, type Layer } from "effect"
import type { Lmdb, LmdbError } from "../../../src/services/Lmdb.ts"
import { replacing } from "./ReplacedLmdb.ts"

export interface Hooks {
  /** Called with the number of transactions before. */
  readonly beforeWrite?: (before: number) => Effect.Effect<unknown, LmdbError>
  readonly beforeRead?: Effect.Effect<unknown, LmdbError>
}

export const hooked = (
  lmdb: Layer.Layer<Lmdb, LmdbError>,
  { beforeRead = Effect.void, beforeWrite = () => Effect.void }: Hooks
) =>
  replacing(lmdb, (inner) => {
    let writes = 0
    return {
      read: Effect.andThen(beforeRead, inner.read),
      write: (body) =>
        Effect.andThen(
          Effect.suspend(() => beforeWrite(writes++)),
          inner.write(body)
        )
    }
  })
