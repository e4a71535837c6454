/**
 * The `Storage` that the configuration selects. The clients of S3 and Azure are loaded only if they are used. `layer`
 * creates the bucket or directory as configured. `readOnly` never creates anything: it is for `receive`, and for
 * commands that only read.
 */
import { Effect, Layer } from "effect"
import type { AzureOptions, S3Options } from "../../domain/settings/StorageOptions.ts"
import { Settings } from "../../services/Settings.ts"
import * as StorageFs from "./StorageFs.ts"
import * as StorageMemory from "./StorageMemory.ts"
import * as StorageMeter from "./StorageMeter.ts"
import * as StorageUpdateMarker from "./StorageUpdateMarker.ts"

/** `client_timeout` limits, for S3, an operation including its marker and, for Azure, a single request. */
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

/** Stores and deletes objects without an update marker, which other instances need not see. Never creates a bucket. */
export const unmarked = configured(false, false)
