/**
 * `Storage` in a bucket of Amazon S3, or of a server that supports its API (version 2 of listings, signature version
 * 4).
 *
 * Guarantees: objects appear as a whole; uploads and downloads are streamed; each call ends within `client_timeout`;
 * the files of credentials and certificates may be replaced while the daemon runs. With `create_bucket`, the bucket is
 * created before the first operation. If that fails, the operation fails, and the next one tries again. Import this
 * module only where S3 is used, because the SDK takes 0.1 s and 25 MB.
 */
import { Effect, type FileSystem, Layer, Stream } from "effect"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import { Storage, type StorageError } from "../../../services/Storage.ts"
import * as SdkClient from "../network/SdkClient.ts"
import * as StorageMeter from "../StorageMeter.ts"
import * as CreateOnce from "../network/CreateOnce.ts"
import * as Bucket from "./S3Bucket.ts"
import * as S3Client from "./S3Client.ts"
import { store } from "./S3Upload.ts"

export const layerWith = (options: S3Options): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.effect(
    Storage,
    Effect.gen(function* () {
      const { client_timeout, create_bucket, init_timeout } = options
      const s3 = yield* S3Client.make(options)
      const inTime = SdkClient.within("client_timeout", client_timeout)
      const tooLate = SdkClient.late("client_timeout", client_timeout)

      const created = create_bucket
        ? yield* CreateOnce.before(
            Bucket.create(s3).pipe(
              SdkClient.within("init_timeout", init_timeout),
              Effect.mapError((reason) => s3.fail("create", "", reason)),
              StorageMeter.call("s3", "create-bucket")
            )
          )
        : Effect.void
      return Storage.of({
        place: s3.place,
        list: Effect.fn("StorageS3.list")(
          function* (prefix) {
            return yield* Bucket.list(s3, prefix)
          },
          inTime,
          (effect, prefix) =>
            Effect.andThen(
              created,
              Effect.mapError(effect, (reason) => s3.fail("list", prefix, reason))
            )
        ),
        load: (name, listed) =>
          Stream.unwrap(
            Effect.as(
              created,
              Stream.interruptWhen(
                Bucket.load(s3, name, listed),
                Effect.andThen(Effect.sleep(client_timeout), Effect.fail(s3.fail("load", name, tooLate)))
              )
            )
          ),
        store: (name, source) =>
          Effect.andThen(
            created,
            Effect.timeoutOrElse(store(s3, name, source), {
              duration: client_timeout,
              orElse: () => Effect.fail(s3.fail("store", name, tooLate))
            })
          ).pipe(Effect.withSpan("StorageS3.store")),
        delete: Effect.fn("StorageS3.delete")(
          function* (name) {
            return yield* Bucket.remove(s3, name)
          },
          inTime,
          (effect, name) =>
            Effect.andThen(
              created,
              Effect.mapError(effect, (reason) => s3.fail("delete", name, reason))
            )
        )
      })
    })
  )
