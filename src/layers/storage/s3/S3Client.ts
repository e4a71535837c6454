/**
 * Creates the SDK's client with one attempt per request, no checksum trailers, our agents, and the credentials that are
 * current at each request. Import this module only where S3 is used, because the SDK takes 0.1 s and 25 MB.
 */
import { S3Client } from "@aws-sdk/client-s3"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import { Clock, DateTime, Duration, Effect } from "effect"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import { Refused } from "../../../services/Storage.ts"
import { ensureHome } from "../network/HomeDirectory.ts"
import * as HttpAgent from "../network/HttpAgent.ts"
import * as SdkClient from "../network/SdkClient.ts"
import * as KeyFiles from "../network/KeyFiles.ts"
import { readListing } from "./ListingResponse.ts"
import { type Endpoint, endpointOf } from "./S3Endpoint.ts"
import { mayBeStaleKeys, reasonOf } from "./S3Errors.ts"

/** `send` has no timeout, because timeouts apply to whole operations. */
export interface S3 extends SdkClient.StorageClient<S3Client, S3Options> {
  /** Over plain http, the body's SHA-256 must be signed, because nothing else protects the body. */
  readonly isEncrypted: boolean
}

/** A 404 for anything but an object, other than S3's NoSuchBucket. */
const notThere = new Refused({
  code: "404",
  detail: "the response has status 404",
  advice: "check endpoint_url and bucket: is this an S3 server, and the right one?"
})

const longAgo = DateTime.toDate(DateTime.makeUnsafe(0))

/**
 * The credentials have an expiration in the past, so that the SDK does not cache them and reads them for each request.
 */
const credentialsOf = (keys: KeyFiles.KeySource) => {
  if (keys.current() === undefined) return {}
  return {
    credentials: () => {
      const { id, secret } = keys.current()!
      return Promise.resolve({ accessKeyId: id, secretAccessKey: secret, expiration: longAgo })
    }
  }
}

/** The SDK's messages are also returned as errors. Without a logger, it would write them to the console. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Checks a listing before the SDK accepts anything that parses as an empty one. */
class Handler extends NodeHttpHandler {
  // @effect-diagnostics-next-line asyncFunction:off -- within the SDK's promises
  override async handle(...args: Parameters<NodeHttpHandler["handle"]>) {
    const [request] = args
    const result = await super.handle(...args)
    const { response } = result
    if (request.query?.["list-type"] === "2" && response.statusCode === 200) {
      response.body = await readListing(response.body)
    }
    return result
  }
}

/** Passed to the SDK's credential chain, which would otherwise cache the files that it has read forever. */
const readFilesAgain = { ignoreCache: true }

/**
 * Creates the client, configured like that of Lightning Stream. In addition, retries are left to us, and requests go
 * only to the configured endpoint.
 */
const clientOf = (options: S3Options, endpoint: Endpoint, handler: Handler, keys: KeyFiles.KeySource) =>
  new S3Client({
    endpoint: endpoint.url.href,
    forcePathStyle: endpoint.pathStyle,
    region: options.region,
    ...credentialsOf(keys),
    ...readFilesAgain,
    maxAttempts: 1,
    logger: silent,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Settings of the environment and of ~/.aws that would redirect requests.
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    // Older servers do not respond to it, and with our own agents the handler does not wait for that response.
    expectContinueHeader: false,
    requestHandler: handler
  })

/**
 * Interval between two checks of the credential chain while the store refuses its keys, since some chains ask a server.
 */
const chainInterval = Duration.toNanosUnsafe("5 seconds")

/**
 * Returns the client, and `keys` with a `forget` that creates a new client where the keys come from the SDK's chain. A
 * client keeps keys without an expiration forever, such as those of ~/.aws/credentials, which may have been rotated.
 */
const clients = Effect.fnUntraced(function* (make: () => S3Client, keys: KeyFiles.KeySource) {
  let client = make()
  if (keys.current() !== undefined) return { client: () => client, keys }
  let made = yield* Clock.monotonicTimeNanos
  const forget = Effect.map(Clock.monotonicTimeNanos, (now) => {
    if (now - made < chainInterval) return
    made = now
    client = make()
  })
  return { client: () => client, keys: { ...keys, forget } }
})

export const make = Effect.fnUntraced(function* (options: S3Options) {
  const endpoint = endpointOf(options)
  const place = `s3 bucket "${options.bucket}" at ${endpoint.text}`
  const fail = SdkClient.failing(place, notThere)
  const setUp = Effect.all([HttpAgent.make(options, endpoint.target), KeyFiles.make(options)])
  const [agent, configured] = yield* Effect.mapError(setUp, (reason) => fail("open", "", reason))
  yield* ensureHome
  // The SDK's timeouts are off: operations have our own, and connections those of the agent.
  const handler = new Handler({ ...agent.agent, requestTimeout: 0, socketTimeout: 0 })
  const { client, keys } = yield* clients(() => clientOf(options, endpoint, handler, configured), configured)
  const toReason = (error: unknown) => reasonOf(error, keys.hide)
  const sendWith = SdkClient.sending({
    client,
    agent,
    keys,
    reasonOf: toReason,
    mayBeStale: mayBeStaleKeys
  })
  const s3: S3 = {
    options,
    place,
    isEncrypted: endpoint.url.protocol === "https:",
    send: (request) => Effect.suspend(() => sendWith(request, new AbortController())),
    sendWith,
    reasonOf: toReason,
    fail
  }
  return s3
})
