/**
 * Requests for one object or for the bucket that are the same for every SDK: create the bucket, load an object, remove
 * it.
 *
 * A success status alone is not trusted. A load returns bytes only from a response that has an ETag and, where the
 * caller knows the listing, the listed ETag and size. A proxy's page, a truncated body, or an object that was replaced
 * is an error that is retried, never an object.
 */
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDKs give bodies as node's streams
import { Readable } from "node:stream"
import { type StorageError, type StoredObject, Unavailable } from "../../../services/Storage.ts"
import { sized } from "../ExactSize.ts"
import { chunksOf } from "./BodyStream.ts"
import { badResponse, type StorageReason } from "./ResponseErrors.ts"
import type { Request, StorageClient } from "./SdkClient.ts"

/** The listed facts about an object. */
export type Listed = Pick<StoredObject, "size" | "etag">

/** Headers and body of a response to GET. */
export interface ObjectResponse {
  readonly body: unknown
  /** Undefined without a Content-Length. */
  readonly size: number | undefined
  readonly etag: string | undefined
}

/** Returns the ETag in the form of `StoredObject`. Proxies that compress make ETags weak. */
export const etagOf = (header: string | undefined): string => (header ?? "").replace(/^W\//, "").replaceAll('"', "")

/** Returns why the response is not the requested object, or undefined when it is. */
const problemOf = ({ etag: header, size }: ObjectResponse, listed: Listed | undefined): Unavailable | undefined => {
  const etag = etagOf(header)
  const wanted = listed?.etag ?? ""
  if (etag === "" && (listed === undefined || wanted !== "")) return badResponse("it has no ETag: it is not an object")
  if (wanted !== "" && etag !== wanted) return badResponse(`its ETag is ${etag}, that of the listing ${wanted}`)
  if (listed !== undefined && size !== undefined && size !== listed.size) {
    return badResponse(`it has ${size} bytes, in the listing ${listed.size}`)
  }
  return undefined
}

/** Reads a response of the SDK with a function that throws `Unavailable` if it is not the requested one. */
export const checked = <A>(read: () => A): Effect.Effect<A, Unavailable> =>
  Effect.try({
    try: read,
    catch: (error) => (error instanceof Unavailable ? error : badResponse(String(error)))
  })

/** An unread body, whose request was aborted or which is not the object, must not end the process with its error. */
const withoutThrowing =
  <Client>(request: Request<Client, ObjectResponse>): Request<Client, ObjectResponse> =>
  (client, options) =>
    request(client, options).then((response) => {
      if (response.body instanceof Readable) response.body.on("error", () => {})
      return response
    })

const isPreconditionFailed = (reason: StorageReason) =>
  reason._tag === "Unavailable" && /^(?:PreconditionFailed|ConditionNotMet|412)$/.test(reason.code)

/**
 * `get` sends an ETag as in HTTP's If-Match, or none. If a store refuses the ETag that it has listed itself, the
 * request is repeated without it, and the ETag of the response is compared.
 */
export const load = <Client>(
  client: StorageClient<Client, unknown>,
  name: string,
  listed: Listed | undefined,
  get: (ifMatch: string | undefined) => Request<Client, ObjectResponse>
): Stream.Stream<Uint8Array<ArrayBuffer>, StorageError> => {
  const failed = (reason: StorageReason) => client.fail("load", name, reason)
  const ifMatch = listed === undefined || listed.etag === "" ? undefined : `"${listed.etag}"`
  return Stream.unwrap(
    Effect.gen(function* () {
      // Ends the request in any case. It has no effect once the body has ended.
      const controller = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      const send = (etag: string | undefined) => client.sendWith(withoutThrowing(get(etag)), controller)
      const response = yield* send(ifMatch).pipe(
        Effect.catchIf(isPreconditionFailed, () => send(undefined)),
        Effect.mapError(failed)
      )
      const problem = problemOf(response, listed)
      if (problem !== undefined) return yield* failed(problem)
      if (!(response.body instanceof Readable)) return yield* failed(badResponse("it has no body"))
      const size = listed?.size ?? response.size
      const chunks = chunksOf(response.body, (error) => failed(client.reasonOf(error)))
      return size === undefined ? chunks : sized(size, failed)(chunks)
    })
  )
}

/** Succeeds if the object is already gone. */
export const remove = <Client>(client: StorageClient<Client, unknown>, request: Request<Client, unknown>) =>
  client.send(request).pipe(
    Effect.catchTag("ObjectNotFound", () => Effect.void),
    Effect.asVoid
  )

/** An existing bucket is not an error, whatever the wording of the server, even if we may not create any. */
export const createUnlessThere = <Client>(
  client: StorageClient<Client, unknown>,
  create: Request<Client, unknown>,
  look: Request<Client, unknown>
) =>
  client.send(create).pipe(
    Effect.catch((reason) => Effect.mapError(client.send(look), () => reason)),
    Effect.asVoid
  )
