/** The operations that need no upload: creating the container, and listing, loading and deleting objects. */
import type { ListBlobsFlatSegmentResponse } from "@azure/storage-blob"
import { Effect, type Stream } from "effect"
import type { StorageError, StoredObject } from "../../../services/Storage.ts"
import { sortByName } from "../Listing.ts"
import * as ObjectRequests from "../network/ObjectRequests.ts"
import { badListing, type StorageReason } from "../network/ResponseErrors.ts"
import type { Azure } from "./AzureClient.ts"

export const create = (azure: Azure): Effect.Effect<void, StorageReason> =>
  ObjectRequests.createUnlessThere(
    azure,
    (container, options) => container.createIfNotExists(options),
    (container, options) => container.getProperties(options)
  )

/** Returns the blobs of a page. Throws `Unavailable` when the page is not the requested listing. */
const blobsOf = (
  page: ListBlobsFlatSegmentResponse,
  container: string,
  prefix: string
): ReadonlyArray<StoredObject> => {
  if (page.containerName !== container)
    throw badListing(page.containerName === undefined ? "it names no container" : `it is of "${page.containerName}"`)
  if ((page.prefix ?? prefix) !== prefix) throw badListing(`it is of the prefix "${page.prefix}"`)
  return page.segment.blobItems.map(({ name, properties: { contentLength: size, etag } }) => {
    if (!name.startsWith(prefix)) throw badListing(`the name "${name}" in it was not asked for`)
    if (size === undefined) throw badListing(`the blob "${name}" in it has no size`)
    return { name, size, etag: ObjectRequests.etagOf(etag) }
  })
}

/** The number of objects in a page of S3. Azure's default of 5000 objects would be parsed in one go. */
const pageSize = 1000

export const list = Effect.fnUntraced(function* (azure: Azure, below: string) {
  const { container, global_prefix } = azure.options
  const prefix = global_prefix + below
  const objects: Array<StoredObject> = []
  let token: string | undefined
  do {
    const settings = { maxPageSize: pageSize, ...(token === undefined ? {} : { continuationToken: token }) }
    const page = yield* azure.send((client, options) =>
      client
        .listBlobsFlat({ prefix, ...options })
        .byPage(settings)
        .next()
        .then(({ value }: { value: ListBlobsFlatSegmentResponse }) => value)
    )
    const blobs = yield* ObjectRequests.checked(() => blobsOf(page, container, prefix))
    for (const blob of blobs) objects.push({ ...blob, name: blob.name.slice(global_prefix.length) })
    const next = page.continuationToken || undefined
    if (next !== undefined && next === token) return yield* badListing("it is truncated, but does not go on")
    token = next
  } while (token !== undefined)
  return sortByName(objects)
})

export const load = (
  azure: Azure,
  name: string,
  listed: StoredObject | undefined
): Stream.Stream<Uint8Array<ArrayBuffer>, StorageError> =>
  ObjectRequests.load(azure, name, listed, (ifMatch) => (container, options) => {
    const blob = container.getBlobClient(azure.options.global_prefix + name)
    const conditions = ifMatch === undefined ? {} : { ifMatch }
    return blob.download(0, undefined, { ...options, conditions, maxRetryRequests: 0 }).then((response) => ({
      body: response.readableStreamBody,
      size: response.contentLength,
      etag: response.etag
    }))
  })

export const remove = (azure: Azure, name: string): Effect.Effect<void, StorageReason> =>
  ObjectRequests.remove(azure, (container, options) =>
    container.getBlobClient(azure.options.global_prefix + name).delete(options)
  )
