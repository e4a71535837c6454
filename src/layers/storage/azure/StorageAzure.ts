/**
 * `Storage` in a container of Azure Blob Storage, or of a server that supports its API (Azurite).
 *
 * Guarantees: blobs appear as a whole; uploads and downloads are streamed; each request ends within `client_timeout`;
 * the files of the account's key and of certificates may be replaced while the daemon runs. With `create_container`,
 * the container is created before the first operation. If that fails, the operation fails, and the next one tries
 * again. Not guaranteed: that blobs in the archive tier, with leases, or with customer-managed keys can be read or
 * replaced. Import this module only where Azure is used, because its SDK is large.
 */
import { Effect, type FileSystem, Layer } from "effect"
import type { AzureOptions } from "../../../domain/settings/StorageOptions.ts"
import { Storage, type StorageError } from "../../../services/Storage.ts"
import * as SdkStorage from "../network/SdkStorage.ts"
import * as StorageMeter from "../StorageMeter.ts"
import * as AzureClient from "./AzureClient.ts"
import * as Container from "./AzureContainer.ts"
import { store } from "./AzureUpload.ts"

const make = Effect.fnUntraced(function* (options: AzureOptions) {
  const azure = yield* AzureClient.make(options)
  return yield* SdkStorage.make(
    azure,
    {
      create: Container.create(azure),
      list: (prefix) => Container.list(azure, prefix),
      load: (name, listed) => Container.load(azure, name, listed),
      store: (name, source) => store(azure, name, source),
      remove: (name) => Container.remove(azure, name)
    },
    {
      layer: "StorageAzure",
      initTimeout: options.init_timeout,
      clientTimeout: options.client_timeout,
      countCreation: options.create_container ? StorageMeter.call("azure", "create-container") : undefined
    }
  )
})

export const layerWith = (options: AzureOptions): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.effect(Storage, make(options))
