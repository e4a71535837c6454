/**
 * The bucket itself and what needs no upload: create, list, load, delete. Each is one call of the service without its
 * time-out.
 */
import {
  type _Object,
  BucketLocationConstraint,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput
} from "@aws-sdk/client-s3"
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK gives bodies as node's streams
import { Readable } from "node:stream"
import { type StorageError, type StoredObject, Unavailable } from "../../../services/Storage.ts"
import type { StorageReason } from "../network/ResponseErrors.ts"
import { chunksOf } from "../network/BodyStream.ts"
import { sortByName } from "../Listing.ts"
import type { S3 } from "./S3Client.ts"
import { sized } from "../ExactSize.ts"

/** A bucket that is there and ours is fine, however the server words that. */
export const create = (s3: S3): Effect.Effect<void, StorageReason> => {
  const { bucket: Bucket, region } = s3.options
  const location =
    region === "us-east-1"
      ? {}
      : { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } }
  return s3
    .send((client, options) => client.send(new CreateBucketCommand({ Bucket, ...location }), options))
    .pipe(
      Effect.catch((reason) =>
        s3
          .send((client, options) => client.send(new HeadBucketCommand({ Bucket }), options))
          .pipe(Effect.mapError(() => reason))
      ),
      Effect.asVoid
    )
}

/** Keys come URL-encoded when the server knows how to: XML can't hold all characters. */
const decoderOf =
  ({ EncodingType }: ListObjectsV2CommandOutput) =>
  (text: string) =>
    EncodingType === "url" ? decodeURIComponent(text.replaceAll("+", " ")) : text

const badListing = (detail: string) => new Unavailable({ code: "BadListing", detail })

export const list = Effect.fnUntraced(function* (s3: S3, prefix: string) {
  const { bucket, global_prefix, hide_folders, prefix_folders } = s3.options
  const objects: Array<StoredObject> = []
  const take = (key: string, size: number, etag: string) => {
    const name = key.slice(global_prefix.length)
    if (!(hide_folders && name.includes("/"))) objects.push({ name, size, etag })
  }
  const takePage = (page: ListObjectsV2CommandOutput) => {
    const decode = decoderOf(page)
    for (const { ETag = "", Key = "", Size = 0 } of page.Contents ?? [])
      take(decode(Key), Size, ETag.replaceAll('"', ""))
    for (const { Prefix = "" } of page.CommonPrefixes ?? []) take(decode(Prefix), 0, "")
  }
  let token: string | undefined
  do {
    const input = {
      Bucket: bucket,
      Prefix: global_prefix + prefix,
      EncodingType: "url" as const,
      MaxKeys: s3.pageSize(),
      ...(prefix_folders ? { Delimiter: "/" } : {}),
      ...(token === undefined ? {} : { ContinuationToken: token })
    }
    const page = yield* s3.send((client, options) => client.send(new ListObjectsV2Command(input), options))
    yield* Effect.try({
      try: () => takePage(page),
      catch: () => badListing("a name in it is not URL-encoded as announced")
    })
    const next = page.IsTruncated === true ? page.NextContinuationToken : undefined
    if (page.IsTruncated === true && (next === undefined || next === token))
      return yield* badListing("it is truncated, but does not go on")
    token = next
  } while (token !== undefined)
  return sortByName(objects)
})

export const load = (s3: S3, name: string): Stream.Stream<Uint8Array<ArrayBuffer>, StorageError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const failed = (reason: StorageReason) => s3.fail("load", name, reason)
      // Ends the request whatever the reader does; without effect once the body has ended.
      const controller = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      const input = { Bucket: s3.options.bucket, Key: s3.options.global_prefix + name }
      const request = s3.sendWith((client, options) => client.send(new GetObjectCommand(input), options), controller)
      const { Body, ContentLength } = yield* Effect.mapError(request, failed)
      if (!(Body instanceof Readable))
        return yield* failed(new Unavailable({ code: "NoBody", detail: "the answer has no body" }))
      const chunks = chunksOf(Body, (error) => failed(s3.reasonOf(error)))
      return ContentLength === undefined ? chunks : sized(ContentLength, failed)(chunks)
    })
  )

/** An object that is already gone is deleted. */
export const remove = (s3: S3, name: string): Effect.Effect<void, StorageReason> => {
  const input = { Bucket: s3.options.bucket, Key: s3.options.global_prefix + name }
  return s3
    .send((client, options) => client.send(new DeleteObjectCommand(input), options))
    .pipe(
      Effect.catchTag("ObjectNotFound", () => Effect.void),
      Effect.asVoid
    )
}
