/**
 * Stores an object in S3, in one request or, from 16 MiB on, in parts that are uploaded concurrently.
 *
 * The source is read twice: for the checksums that precede the body (Content-MD5, and SHA-256 where the body must be
 * signed), and for the body. No part is held in memory. The server does not store a body that ends early or does not
 * match its checksum. A part whose upload fails with a transient error is sent again a few times. The parts of a failed
 * or interrupted upload are removed.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type StorageClass,
  UploadPartCommand
} from "@aws-sdk/client-s3"
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- effect's Crypto hashes whole buffers only
import { createHash } from "node:crypto"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK takes bodies as node's streams
import { PassThrough } from "node:stream"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import type { Source, StorageError } from "../../../services/Storage.ts"
import { pump } from "../network/BodyStream.ts"
import { badResponse, type StorageReason } from "../network/ResponseErrors.ts"
import { type Range, rangeOf, retryPart, storedEtag } from "../network/UploadRange.ts"
import type { S3 } from "./S3Client.ts"

/**
 * Objects of at least this size are uploaded in parts of this size. Parts are larger if there would be more than 10,000
 * of them. These are the figures of Lightning Stream.
 */
const partBytes = 16 * 1024 * 1024
const partsAtMost = 10_000

const abortTimeout = "10 seconds"

interface Checksums {
  readonly md5: string | undefined
  readonly sha256: string | undefined
}

/** Yields after each chunk, because a source in memory would otherwise occupy the thread for the whole part. */
const checksumsOf = Effect.fnUntraced(function* <E, R>(s3: S3, range: Range<E, R>) {
  const md5 = s3.options.disable_send_content_md5 ? undefined : createHash("md5")
  const sha256 = s3.isEncrypted && md5 !== undefined ? undefined : createHash("sha256")
  yield* Stream.runForEach(range.bytes, (chunk) => {
    md5?.update(chunk)
    sha256?.update(chunk)
    return Effect.yieldNow
  })
  return { md5: md5?.digest("base64"), sha256: sha256?.digest("hex") }
})

type Command = PutObjectCommand | UploadPartCommand

/** Sets the hash that the signature covers. Without it, the SDK leaves streamed bodies unsigned. */
const signBody = (command: Command, sha256: string | undefined): void => {
  if (sha256 === undefined) return
  const stack = command.middlewareStack as PutObjectCommand["middlewareStack"]
  stack.add(
    (next) => (args) => {
      const { request } = args
      if (typeof request === "object" && request !== null && "headers" in request) {
        Object.assign(request.headers as object, { "x-amz-content-sha256": sha256 })
      }
      return next(args)
    },
    { step: "build", name: "signedBody" }
  )
}

/**
 * Sends one request with the range as its body. Ends with the response, or as soon as the source fails, and then aborts
 * the request.
 */
const sendBody = Effect.fnUntraced(function* <E, R, C extends Command>(
  s3: S3,
  range: Range<E, R>,
  commandOf: (body: PassThrough | Uint8Array, checksums: Checksums) => C,
  send: (command: C) => Effect.Effect<{ readonly ETag?: string | undefined }, StorageReason>,
  failed: (reason: StorageReason) => StorageError
) {
  const checksums = yield* checksumsOf(s3, range)
  const request = (body: PassThrough | Uint8Array) => {
    const command = commandOf(body, checksums)
    signBody(command, checksums.sha256)
    return send(command).pipe(
      Effect.tap(({ ETag }) => storedEtag(ETag)),
      Effect.mapError(failed)
    )
  }
  if (range.size === 0) return yield* request(new Uint8Array(0))
  return yield* Effect.acquireUseRelease(
    Effect.sync(() => new PassThrough()),
    (body) => Effect.raceFirst(request(body), Effect.andThen(pump(range.bytes, body), Effect.never)),
    (body) => Effect.sync(() => void body.destroy())
  )
})

const bodyInput = <E, R>(range: Range<E, R>, body: PassThrough | Uint8Array, { md5 }: Checksums) => ({
  Body: body,
  ContentLength: range.size,
  ...(md5 === undefined ? {} : { ContentMD5: md5 })
})

const objectInput = ({ bucket, global_prefix }: S3Options, name: string) => ({
  Bucket: bucket,
  Key: global_prefix + name
})

/** The server checks the name of the class. */
const classInput = ({ storage_class }: S3Options) =>
  storage_class === "" ? {} : { StorageClass: storage_class as StorageClass }

const storeWhole = <E, R>(s3: S3, name: string, source: Source<E, R>) => {
  const range = rangeOf(s3, name, source, 0, source.size)
  return sendBody(
    s3,
    range,
    (body, checksums) =>
      new PutObjectCommand({
        ...objectInput(s3.options, name),
        ...classInput(s3.options),
        ...bodyInput(range, body, checksums)
      }),
    (command) => s3.send((client, options) => client.send(command, options)),
    (reason) => s3.fail("store", name, reason)
  )
}

const storePart = <E, R>(s3: S3, name: string, upload: string, number: number, range: Range<E, R>) =>
  sendBody(
    s3,
    range,
    (body, checksums) =>
      new UploadPartCommand({
        ...objectInput(s3.options, name),
        UploadId: upload,
        PartNumber: number,
        ...bodyInput(range, body, checksums)
      }),
    (command) => s3.send((client, options) => client.send(command, options)),
    (reason) => s3.fail("store", name, reason)
  ).pipe(
    retryPart,
    Effect.map(({ ETag }) => ({ ETag, PartNumber: number }))
  )

const rangesOf = <E, R>(s3: S3, name: string, source: Source<E, R>) => {
  const size = Math.max(partBytes, Math.ceil(source.size / partsAtMost))
  return Array.from({ length: Math.ceil(source.size / size) }, (_, index) =>
    rangeOf(s3, name, source, index * size, Math.min((index + 1) * size, source.size))
  )
}

const storeInParts = Effect.fnUntraced(function* <E, R>(s3: S3, name: string, source: Source<E, R>) {
  const object = objectInput(s3.options, name)
  const failed = (reason: StorageReason) => s3.fail("store", name, reason)
  const create = s3.send((client, options) =>
    client.send(new CreateMultipartUploadCommand({ ...object, ...classInput(s3.options) }), options)
  )
  const complete = Effect.fnUntraced(function* (UploadId: string) {
    const parts = yield* Effect.forEach(
      rangesOf(s3, name, source),
      (range, index) => storePart(s3, name, UploadId, index + 1, range),
      { concurrency: s3.options.num_minio_threads }
    )
    const input = { ...object, UploadId, MultipartUpload: { Parts: parts } }
    return yield* Effect.mapError(
      s3.send((client, options) => client.send(new CompleteMultipartUploadCommand(input), options)),
      failed
    )
  })
  // If this fails, too, the bucket's lifecycle rules have to remove the parts.
  const abandon = (UploadId: string) =>
    s3
      .send((client, options) => client.send(new AbortMultipartUploadCommand({ ...object, UploadId }), options))
      .pipe(Effect.timeoutOrElse({ duration: abortTimeout, orElse: () => Effect.void }), Effect.ignore)
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.mapError(restore(create), failed), ({ UploadId }) =>
      UploadId === undefined
        ? Effect.fail(failed(badResponse("it has no UploadId: no upload was begun")))
        : Effect.onError(restore(complete(UploadId)), () => abandon(UploadId))
    )
  )
})

/** Returns the ETag as listings show it. */
export const store = <E, R>(s3: S3, name: string, source: Source<E, R>): Effect.Effect<string, StorageError | E, R> =>
  Effect.flatMap(source.size < partBytes ? storeWhole(s3, name, source) : storeInParts(s3, name, source), ({ ETag }) =>
    Effect.mapError(storedEtag(ETag), (reason) => s3.fail("store", name, reason))
  )
