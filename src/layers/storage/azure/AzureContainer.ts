/** The container itself and what needs no upload: create, list, load, delete. */
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK gives bodies as node's streams
import { Readable } from "node:stream"
import { type StorageError, type StoredObject, Unavailable } from "../../../services/Storage.ts"
import type { StorageReason } from "../network/ResponseErrors.ts"
import type { Azure } from "./AzureClient.ts"
import { chunksOf } from "../network/BodyStream.ts"
import { sortByName } from "../Listing.ts"
import { sized } from "../ExactSize.ts"

/** A container that is there is fine, also where we may not make any. */
export const create = (azure: Azure): Effect.Effect<void, StorageReason> =>
  azure
    .send((container, options) => container.createIfNotExists(options))
    .pipe(
      Effect.catch((reason) =>
        Effect.mapError(
          azure.send((container, options) => container.getProperties(options)),
          () => reason
        )
      ),
      Effect.asVoid
    )

export const etagOf = (quoted: string | undefined) => (quoted ?? "").replaceAll('"', "")

/** Pages of 5000, each a request. */
export const list = Effect.fnUntraced(function* (azure: Azure, below: string) {
  const { global_prefix } = azure.options
  const prefix = global_prefix + below
  const objects: Array<StoredObject> = []
  let continuationToken: string | undefined
  do {
    const settings = {
      maxPageSize: azure.pageSize(),
      ...(continuationToken === undefined ? {} : { continuationToken })
    }
    const { value: page } = yield* azure.send((container, options) =>
      container
        .listBlobsFlat({ prefix, ...options })
        .byPage(settings)
        .next()
    )
    for (const { name, properties } of page?.segment.blobItems ?? []) {
      objects.push({
        name: name.slice(global_prefix.length),
        size: properties.contentLength ?? 0,
        etag: etagOf(properties.etag)
      })
    }
    const next: string | undefined = page?.continuationToken || undefined
    if (next !== undefined && next === continuationToken) {
      return yield* new Unavailable({ code: "BadListing", detail: "it is truncated, but does not go on" })
    }
    continuationToken = next
  } while (continuationToken !== undefined)
  return sortByName(objects)
})

export const load = (azure: Azure, name: string): Stream.Stream<Uint8Array<ArrayBuffer>, StorageError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const failed = (reason: StorageReason) => azure.fail("load", name, reason)
      // Ends the request whatever the reader does; without effect once the body has ended.
      const controller = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      const request = azure.sendWith(
        (container, options) =>
          container
            .getBlobClient(azure.options.global_prefix + name)
            .download(0, undefined, { ...options, maxRetryRequests: 0 }),
        controller
      )
      const { contentLength, readableStreamBody: body } = yield* Effect.mapError(request, failed)
      if (!(body instanceof Readable))
        return yield* failed(new Unavailable({ code: "NoBody", detail: "the answer has no body" }))
      const chunks = chunksOf(body, (error) => failed(azure.reasonOf(error)))
      return contentLength === undefined ? chunks : sized(contentLength, failed)(chunks)
    })
  )

/** An object that is already gone is deleted. */
export const remove = (azure: Azure, name: string): Effect.Effect<void, StorageReason> =>
  azure
    .send((container, options) => container.getBlobClient(azure.options.global_prefix + name).delete(options))
    .pipe(
      Effect.catchTag("ObjectNotFound", () => Effect.void),
      Effect.asVoid
    )
