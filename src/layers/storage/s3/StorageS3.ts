/**
 * `Storage` in a bucket of an S3 server: Amazon's or any that speaks its API (version 2 of listings, signature version
 * 4).
 *
 * Guarantees: objects appear whole, as S3 has it; bodies up and down are streamed; each call ends within
 * `client_timeout`; credentials and certificates in files may be replaced while it runs. The bucket is made before the
 * first operation, if `create_bucket` says so; that failing fails the operation, and the next one tries again. Other
 * commands don't pay for the SDK: it is loaded when the layer is built.
 */
import { Effect, type FileSystem, Layer } from "effect"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import type { Storage, StorageError } from "../../../services/Storage.ts"

export const layerWith = (options: S3Options): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./S3Layer.ts")),
      (loaded) => loaded.layerWith(options)
    )
  )
