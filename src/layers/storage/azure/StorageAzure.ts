/**
 * `Storage` in a container of Azure Blob Storage, or of a server that speaks its API (Azurite).
 *
 * Guarantees: blobs appear whole, as Azure has it; bodies up and down are streamed; each request ends within
 * `client_timeout`; the account's key and certificates in files may be replaced while it runs. The container is made
 * before the first operation, if `create_container` says so; that failing fails the operation, and the next one tries
 * again. Other commands don't pay for the SDK: it is loaded when the layer is built. Not guaranteed: that blobs in the
 * archive tier, with leases or customers' keys can be read or replaced.
 */
import { Effect, type FileSystem, Layer } from "effect"
import type { AzureOptions } from "../../../domain/settings/StorageOptions.ts"
import type { Storage, StorageError } from "../../../services/Storage.ts"

export const layerWith = (options: AzureOptions): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./AzureLayer.ts")),
      (loaded) => loaded.layerWith(options)
    )
  )
