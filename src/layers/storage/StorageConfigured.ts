/**
 * The `Storage` that the configuration asks for. The clients of S3 and Azure are loaded only where they are used.
 * `layer` makes bucket or directory as configured, `readOnly` never makes anything: for `receive`, and for commands
 * that only read.
 */
import { Effect, Layer } from "effect"
import type { AzureOptions, S3Options } from "../../domain/settings/StorageOptions.ts"
import { Settings } from "../../services/Settings.ts"
import * as StorageFs from "./StorageFs.ts"
import * as StorageMemory from "./StorageMemory.ts"
import * as StorageMeter from "./StorageMeter.ts"
import * as StorageUpdateMarker from "./StorageUpdateMarker.ts"

/** For S3, `client_timeout` is that of an operation with its marker; for Azure, of a request. */
const marking = (options: S3Options | AzureOptions) =>
  options.use_update_marker
    ? StorageUpdateMarker.layerWith({
        globalPrefix: options.global_prefix,
        forceListInterval: options.update_marker_force_list_interval,
        ...("bucket" in options ? { timeout: options.client_timeout } : {})
      })
    : StorageUpdateMarker.hidden

const configured = (create: boolean, marks = true) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { storage } = yield* Settings
      switch (storage.type) {
        case "fs":
          return Layer.provide(StorageMeter.layer, StorageFs.layerWith({ ...storage.options, create }))
        case "s3": {
          const { layerWith } = yield* Effect.promise(() => import("./s3/StorageS3.ts"))
          const create_bucket = create && storage.options.create_bucket
          const counted = Layer.provide(StorageMeter.layerWith("s3"), layerWith({ ...storage.options, create_bucket }))
          return marks ? Layer.provide(marking(storage.options), counted) : counted
        }
        case "memory":
          return Layer.provide(StorageMeter.layer, StorageMemory.layer)
        case "azure": {
          const { layerWith } = yield* Effect.promise(() => import("./azure/StorageAzure.ts"))
          const create_container = create && storage.options.create_container
          const bare = layerWith({ ...storage.options, create_container })
          const counted = Layer.provide(StorageMeter.layerWith("azure"), bare)
          return marks ? Layer.provide(marking(storage.options), counted) : counted
        }
      }
    })
  )

export const layer = configured(true)

export const readOnly = configured(false)

/** Writes what it is told to, and no update marker: nobody else need know of it. It never makes a bucket. */
export const unmarked = configured(false, false)
