/**
 * The operations that need no upload: creating the bucket, and listing, loading and deleting objects. Each makes one
 * call of the service without its timeout.
 */
import {
  BucketLocationConstraint,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput
} from "@aws-sdk/client-s3"
import { Effect, type Stream } from "effect"
import type { StorageError, StoredObject } from "../../../services/Storage.ts"
import { sortByName } from "../Listing.ts"
import * as ObjectRequests from "../network/ObjectRequests.ts"
import { badListing, type StorageReason } from "../network/ResponseErrors.ts"
import type { S3 } from "./S3Client.ts"

export const create = (s3: S3): Effect.Effect<void, StorageReason> => {
  const { bucket: Bucket, region } = s3.options
  const location =
    region === "us-east-1"
      ? {}
      : { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } }
  return ObjectRequests.createUnlessThere(
    s3,
    (client, options) => client.send(new CreateBucketCommand({ Bucket, ...location }), options),
    (client, options) => client.send(new HeadBucketCommand({ Bucket }), options)
  )
}

/** Keys are URL-encoded if the server supports that, because XML cannot represent all characters. */
const decoderOf =
  ({ EncodingType }: ListObjectsV2CommandOutput) =>
  (text: string) => {
    if (EncodingType !== "url") return text
    try {
      return decodeURIComponent(text.replaceAll("+", " "))
    } catch {
      throw badListing("a name in it is not URL-encoded as announced")
    }
  }

/**
 * Ceph names a tenant's bucket `tenant:bucket` and lists it as `bucket`. The listed name for an alias of an access
 * point is up to Amazon and not checked.
 */
const isBucket = (listed: string, bucket: string) =>
  listed === bucket || bucket.endsWith(`:${listed}`) || (listed !== "" && bucket.endsWith("-s3alias"))

/** Returns the objects of a page. Throws `Unavailable` when the page is not the requested listing. */
const objectsOf = (page: ListObjectsV2CommandOutput, bucket: string, prefix: string): ReadonlyArray<StoredObject> => {
  const { CommonPrefixes = [], Contents = [], IsTruncated, Name = "", Prefix } = page
  const decode = decoderOf(page)
  if (!isBucket(Name, bucket)) throw badListing(Name === "" ? "it names no bucket" : `it is of the bucket "${Name}"`)
  if (IsTruncated === undefined) throw badListing("it does not say whether it is complete")
  if (Prefix !== undefined && Prefix !== prefix && decode(Prefix) !== prefix)
    throw badListing(`it is of the prefix "${Prefix}"`)
  const nameOf = (key: string | undefined) => {
    const name = decode(key ?? "")
    if (name === "" || !name.startsWith(prefix)) throw badListing(`the name "${name}" in it was not asked for`)
    return name
  }
  const objects = Contents.map(({ ETag, Key, Size }) => {
    const name = nameOf(Key)
    if (Size === undefined) throw badListing(`the object "${name}" in it has no size`)
    return { name, size: Size, etag: ObjectRequests.etagOf(ETag) }
  })
  return [...objects, ...CommonPrefixes.map(({ Prefix: key }) => ({ name: nameOf(key), size: 0, etag: "" }))]
}

export const list = Effect.fnUntraced(function* (s3: S3, below: string) {
  const { bucket, global_prefix, hide_folders, prefix_folders } = s3.options
  const prefix = global_prefix + below
  const objects: Array<StoredObject> = []
  let token: string | undefined
  do {
    const input = {
      Bucket: bucket,
      Prefix: prefix,
      EncodingType: "url" as const,
      ...(prefix_folders ? { Delimiter: "/" } : {}),
      ...(token === undefined ? {} : { ContinuationToken: token })
    }
    const page = yield* s3.send((client, options) => client.send(new ListObjectsV2Command(input), options))
    const listed = yield* ObjectRequests.checked(() => objectsOf(page, bucket, prefix))
    for (const object of listed) {
      const name = object.name.slice(global_prefix.length)
      if (!(hide_folders && name.includes("/"))) objects.push({ ...object, name })
    }
    const next = page.IsTruncated === true ? page.NextContinuationToken : undefined
    if (page.IsTruncated === true && (next === undefined || next === token))
      return yield* badListing("it is truncated, but does not go on")
    token = next
  } while (token !== undefined)
  return sortByName(objects)
})

export const load = (
  s3: S3,
  name: string,
  listed: StoredObject | undefined
): Stream.Stream<Uint8Array<ArrayBuffer>, StorageError> =>
  ObjectRequests.load(s3, name, listed, (ifMatch) => (client, options) => {
    const { bucket, global_prefix } = s3.options
    const input = { Bucket: bucket, Key: global_prefix + name, ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }) }
    return client
      .send(new GetObjectCommand(input), options)
      .then(({ Body, ContentLength, ETag }) => ({ body: Body, size: ContentLength, etag: ETag }))
  })

export const remove = (s3: S3, name: string): Effect.Effect<void, StorageReason> => {
  const input = { Bucket: s3.options.bucket, Key: s3.options.global_prefix + name }
  return ObjectRequests.remove(s3, (client, options) => client.send(new DeleteObjectCommand(input), options))
}
