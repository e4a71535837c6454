/**
 * The SDK's client as the layer uses it: one attempt per request, no checksum trailers, our agents, credentials as of
 * each request. Load this module only where S3 is used: the SDK takes 0.1 s and 25 MB.
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

/** `send` has no timeout: those are of whole operations. */
export interface S3 extends SdkClient.StorageClient<S3Client, S3Options> {
  /** Over http the body's SHA-256 must be signed, as nothing else protects it. */
  readonly isEncrypted: boolean
}

/** A 404 for anything but an object, and not S3's NoSuchBucket. */
const notThere = new Refused({
  code: "404",
  detail: "the answer was 404",
  advice: "check endpoint_url and bucket: is this an S3 server, and the right one?"
})

const longAgo = DateTime.toDate(DateTime.makeUnsafe(0))

/** Read for each request: identities with an expiration in the past are not kept by the SDK. */
const credentialsOf = (keys: KeyFiles.KeySource) => {
  if (keys.current() === undefined) return {}
  return {
    credentials: () => {
      const { id, secret } = keys.current()!
      return Promise.resolve({ accessKeyId: id, secretAccessKey: secret, expiration: longAgo })
    }
  }
}

/** What the SDK has to say comes as errors, too; without a logger it writes to the console. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Checks a listing before the SDK takes anything that parses for an empty one. */
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

/** Goes to the SDK's chain of credentials, which would keep what it has read from a file for good. */
const readFilesAgain = { ignoreCache: true }

/** As Lightning Stream's, besides: requests are ours to repeat, and go where the configuration says. */
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
    // Settings of the environment and of ~/.aws that would change where requests go.
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    // Older servers don't answer it, and with agents of our own the handler does not wait for the answer.
    expectContinueHeader: false,
    requestHandler: handler
  })

/** Between two looks at the chain of credentials while the store refuses what it gives: some ask a server. */
const chainInterval = Duration.toNanosUnsafe("5 seconds")

/**
 * The client, and `keys` with a `forget` that makes the next one where the keys are those of the SDK's chain: a client
 * keeps keys without an expiration for good, such as those of ~/.aws/credentials, which may have been rotated.
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
  // Timeouts are ours: of connections those of the agent.
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
