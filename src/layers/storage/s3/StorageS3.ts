/**
 * `Storage` in a bucket of Amazon S3, or of a server that supports its API (version 2 of listings, signature version
 * 4).
 *
 * Guarantees: objects appear as a whole; uploads and downloads are streamed; each call ends within `client_timeout`;
 * the files of credentials and certificates may be replaced while the daemon runs. With `create_bucket`, the bucket is
 * created before the first operation. If that fails, the operation fails, and the next one tries again. Import this
 * module only where S3 is used, because the SDK takes 0.1 s and 25 MB.
 */
import { Effect, type FileSystem, Layer } from "effect"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import { Storage, type StorageError } from "../../../services/Storage.ts"
import * as SdkClient from "../network/SdkClient.ts"
import * as SdkStorage from "../network/SdkStorage.ts"
import * as StorageMeter from "../StorageMeter.ts"
import * as Bucket from "./S3Bucket.ts"
import * as S3Client from "./S3Client.ts"
import { store } from "./S3Upload.ts"

const make = Effect.fnUntraced(function* (options: S3Options) {
  const { client_timeout, create_bucket, init_timeout } = options
  const s3 = yield* S3Client.make(options)
  const inTime = SdkClient.within("client_timeout", client_timeout)
  const tooLate = SdkClient.late("client_timeout", client_timeout)
  return yield* SdkStorage.make(
    s3,
    {
      create: Bucket.create(s3),
      list: (prefix) => inTime(Bucket.list(s3, prefix)),
      load: (name, listed) => Bucket.load(s3, name, listed),
      store: (name, source) =>
        Effect.timeoutOrElse(store(s3, name, source), {
          duration: client_timeout,
          orElse: () => Effect.fail(s3.fail("store", name, tooLate))
        }),
      remove: (name) => inTime(Bucket.remove(s3, name))
    },
    {
      layer: "StorageS3",
      initTimeout: init_timeout,
      clientTimeout: client_timeout,
      countCreation: create_bucket ? StorageMeter.call("s3", "create-bucket") : undefined
    }
  )
})

export const layerWith = (options: S3Options): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.effect(Storage, make(options))
