/**
 * Stores an object in Azure, in one request or, above 16 MiB, in blocks, of which `concurrency` are uploaded at once.
 *
 * No block is held in memory, because each is streamed from the source into its request. The server does not store a
 * body that ends early. A block whose upload fails with a transient error is sent again a few times. The blob changes
 * only with the last request, which lists the blocks. Blocks of a failed or interrupted upload are never visible, and
 * Azure removes them within a week or at the next upload of that name.
 */
import type { BlockBlobClient } from "@azure/storage-blob"
import { Effect, Random } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK takes bodies as node's streams
import { PassThrough } from "node:stream"
import type { Source, StorageError } from "../../../services/Storage.ts"
import { pump } from "../network/BodyStream.ts"
import { type Range, rangeOf, retryPart, storedEtag } from "../network/UploadRange.ts"
import type { Azure } from "./AzureClient.ts"

/** The size of a block. Blocks are larger only if there would be more than 50,000 of them. */
const blockBytes = 16 * 1024 * 1024
const blocksAtMost = 50_000

interface Upload<E, R> {
  readonly azure: Azure
  readonly name: string
  readonly source: Source<E, R>
}

type SendBody<A> = (
  blob: BlockBlobClient,
  body: PassThrough | string,
  options: { readonly abortSignal: AbortSignal }
) => Promise<A>

const sendBlob = <E, R, A>(
  { azure, name }: Upload<E, R>,
  request: (blob: BlockBlobClient, options: { readonly abortSignal: AbortSignal }) => Promise<A>
) =>
  azure
    .send((container, options) => request(container.getBlockBlobClient(azure.options.global_prefix + name), options))
    .pipe(Effect.mapError((reason) => azure.fail("store", name, reason)))

/**
 * Sends one request with the range as its body. Ends with the response, or as soon as the source fails, and then aborts
 * the request.
 */
const sendBody = <E, R, A>(upload: Upload<E, R>, range: Range<E, R>, send: SendBody<A>) => {
  if (range.size === 0) return sendBlob(upload, (blob, options) => send(blob, "", options))
  return Effect.acquireUseRelease(
    // The SDK may destroy the stream with an error that the request reports as well.
    Effect.sync(() => new PassThrough().on("error", () => {})),
    (body) =>
      Effect.raceFirst(
        sendBlob(upload, (blob, options) => send(blob, body, options)),
        Effect.andThen(pump(range.bytes, body), Effect.never)
      ),
    (body) => Effect.sync(() => void body.destroy())
  )
}

const storeBlock = <E, R>(upload: Upload<E, R>, id: string, range: Range<E, R>) =>
  sendBody(upload, range, (blob, body, options) => blob.stageBlock(id, body, range.size, options)).pipe(retryPart)

const storeInBlocks = Effect.fnUntraced(function* <E, R>(upload: Upload<E, R>) {
  const { azure, source } = upload
  const size = Math.max(blockBytes, Math.ceil(source.size / blocksAtMost))
  // Has a fixed length, as the block ids of a blob must have, and is unique to this upload, because a request of an
  // earlier upload may still be in progress.
  const token = (yield* Random.nextIntBetween(0, 2 ** 48)).toString(16).padStart(12, "0")
  const ids = Array.from({ length: Math.ceil(source.size / size) }, (_, index) =>
    Buffer.from(`${token}-${String(index).padStart(5, "0")}`).toString("base64")
  )
  yield* Effect.forEach(
    ids,
    (id, index) =>
      storeBlock(
        upload,
        id,
        rangeOf(azure, upload.name, source, index * size, Math.min((index + 1) * size, source.size))
      ),
    { concurrency: azure.options.concurrency, discard: true }
  )
  return yield* sendBlob(upload, (blob, options) => blob.commitBlockList(ids, options))
})

const storeWhole = <E, R>(upload: Upload<E, R>) => {
  const { azure, name, source } = upload
  const { size } = source
  return sendBody(upload, rangeOf(azure, name, source, 0, size), (blob, body, options) =>
    blob.upload(body, size, options)
  )
}

/** Returns the ETag as listings show it. */
export const store = <E, R>(
  azure: Azure,
  name: string,
  source: Source<E, R>
): Effect.Effect<string, StorageError | E, R> => {
  const upload = { azure, name, source }
  return Effect.flatMap(source.size <= blockBytes ? storeWhole(upload) : storeInBlocks(upload), ({ etag }) =>
    Effect.mapError(storedEtag(etag), (reason) => azure.fail("store", name, reason))
  )
}
