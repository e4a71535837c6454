/**
 * Creates the SDK's container client with one attempt per request, no redirects, our agent (hence our proxies and TLS
 * settings), and the credentials that are current at each request. Import this module only when Azure is used.
 */
import { AnonymousCredential, ContainerClient, newPipeline, StorageSharedKeyCredential } from "@azure/storage-blob"
import { Effect } from "effect"
import type { AzureOptions } from "../../../domain/settings/StorageOptions.ts"
import { Refused } from "../../../services/Storage.ts"
import * as HttpAgent from "../network/HttpAgent.ts"
import * as AzureCredentials from "./AzureCredentials.ts"
import { mayBeStaleKey, reasonOf } from "./AzureErrors.ts"
import * as SdkClient from "../network/SdkClient.ts"

/** `send` ends within `client_timeout`. */
export type Azure = SdkClient.StorageClient<ContainerClient, AzureOptions>

/** The request was not about an object, so no object can be missing. */
const notThere = new Refused({
  code: "404",
  detail: "the response has status 404",
  advice: "check endpoint_url, account_name and container: is this Azure Blob Storage, and the right account?"
})

/** Keeps the path that Azurite needs, and avoids a double slash. */
const containerUrl = ({ container, endpoint_url }: AzureOptions) =>
  `${endpoint_url.replace(/\/+$/, "")}/${encodeURIComponent(container)}`

type Credential = Parameters<typeof newPipeline>[0]

const clientOf = (options: AzureOptions, agent: HttpAgent.StorageAgent, credential: Credential) => {
  const settings = {
    // Options of the SDK's core that the types of its blob part omit. The given agent takes precedence over proxies of
    // the SDK.
    agent: "httpAgent" in agent.agent ? agent.agent.httpAgent : agent.agent.httpsAgent,
    redirectOptions: { maxRetries: 0 },
    // Not used. Without this value, the SDK would read the proxy from the environment and throw at one without a
    // scheme.
    proxyOptions: { host: "http://unused.invalid", port: 1 },
    retryOptions: { maxTries: 1 }
  }
  return new ContainerClient(containerUrl(options), newPipeline(credential, settings))
}

/** Makes a new client for each new key, because an SDK client is bound to the key that it was created with. */
const clients = (options: AzureOptions, agent: HttpAgent.StorageAgent, credentials: AzureCredentials.Credentials) => {
  if (credentials._tag === "Token") {
    const client = clientOf(options, agent, credentials.credential)
    return () => client
  }
  let secret = ""
  let client = clientOf(options, agent, new AnonymousCredential())
  return () => {
    const now = credentials.keys.current()
    if (now !== undefined && now.secret !== secret) {
      secret = now.secret
      client = clientOf(options, agent, new StorageSharedKeyCredential(now.id, now.secret))
    }
    return client
  }
}

export const make = Effect.fnUntraced(function* (options: AzureOptions) {
  const target = new URL(options.endpoint_url)
  const place = `azure container "${options.container}" at ${target.protocol}//${target.host}${target.pathname.replace(/\/+$/, "")}`
  const fail = SdkClient.failing(place, notThere)
  const setUp = Effect.all([HttpAgent.make(options, target), AzureCredentials.make(options)])
  const [agent, credentials] = yield* Effect.mapError(setUp, (reason) => fail("open", "", reason))
  const { keys } = credentials
  const toReason = (error: unknown) => reasonOf(error, keys.hide)
  const client = clients(options, agent, credentials)
  const sendWith = SdkClient.sending({ client, agent, keys, reasonOf: toReason, mayBeStale: mayBeStaleKey })
  const inTime = SdkClient.within("client_timeout", options.client_timeout)
  const azure: Azure = {
    options,
    place,
    send: (request) => Effect.suspend(() => inTime(sendWith(request, new AbortController()))),
    sendWith,
    reasonOf: toReason,
    fail
  }
  return azure
})
