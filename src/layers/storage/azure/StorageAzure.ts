/**
 * `Storage` in a container of Azure Blob Storage, or of a server that supports its API (Azurite).
 *
 * Guarantees: blobs appear as a whole; uploads and downloads are streamed; each request ends within `client_timeout`;
 * the files of the account's key and of certificates may be replaced while the daemon runs. With `create_container`,
 * the container is created before the first operation. If that fails, the operation fails, and the next one tries
 * again. Not guaranteed: that blobs in the archive tier, with leases, or with customer-managed keys can be read or
 * replaced. Import this module only where Azure is used, because its SDK is large.
 */
import { Effect, type FileSystem, Layer, Stream } from "effect"
import type { AzureOptions } from "../../../domain/settings/StorageOptions.ts"
import { Storage, type StorageError } from "../../../services/Storage.ts"
import * as AzureClient from "./AzureClient.ts"
import * as Container from "./AzureContainer.ts"
import { store } from "./AzureUpload.ts"
import * as SdkClient from "../network/SdkClient.ts"
import * as StorageMeter from "../StorageMeter.ts"
import * as CreateOnce from "../network/CreateOnce.ts"

export const layerWith = (options: AzureOptions): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.effect(
    Storage,
    Effect.gen(function* () {
      const { client_timeout, create_container, init_timeout } = options
      const azure = yield* AzureClient.make(options)

      const created = create_container
        ? yield* CreateOnce.before(
            Container.create(azure).pipe(
              SdkClient.within("init_timeout", init_timeout),
              Effect.mapError((reason) => azure.fail("create", "", reason)),
              StorageMeter.call("azure", "create-container")
            )
          )
        : Effect.void
      const tooLate = SdkClient.late("client_timeout", client_timeout)
      return Storage.of({
        place: azure.place,
        list: Effect.fn("StorageAzure.list")(
          function* (prefix) {
            return yield* Container.list(azure, prefix)
          },
          (effect, prefix) =>
            Effect.andThen(
              created,
              Effect.mapError(effect, (reason) => azure.fail("list", prefix, reason))
            )
        ),
        load: (name, listed) =>
          Stream.unwrap(
            Effect.as(
              created,
              Stream.interruptWhen(
                Container.load(azure, name, listed),
                Effect.andThen(Effect.sleep(client_timeout), Effect.fail(azure.fail("load", name, tooLate)))
              )
            )
          ),
        store: (name, source) =>
          Effect.withSpan(Effect.andThen(created, store(azure, name, source)), "StorageAzure.store"),
        delete: Effect.fn("StorageAzure.delete")(
          function* (name) {
            return yield* Container.remove(azure, name)
          },
          (effect, name) =>
            Effect.andThen(
              created,
              Effect.mapError(effect, (reason) => azure.fail("delete", name, reason))
            )
        )
      })
    })
  )
