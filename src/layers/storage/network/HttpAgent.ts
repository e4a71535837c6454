/**
 * Node's HTTP agents with a store's network settings: idle connections, timeouts for connecting, for the TLS handshake
 * and for inactive connections, TLS settings that may change at run time, and proxies. An agent serves one host of one
 * store and is closed with the scope.
 */
import { Duration, Effect, FileSystem } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK takes node's agents
import * as http from "node:http"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as https from "node:https"
import * as tls from "node:tls"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import { Refused } from "../../../services/Storage.ts"
import { addressOptions, dialWithin } from "./ConnectTimeout.ts"
import { readBeforeWriteErrors } from "./EarlyResponses.ts"
import { proxyEnvironment, proxyOf } from "./HttpProxy.ts"
import { inactiveFor } from "./InactivityTimeout.ts"
import { timerMillis } from "./TimerMillis.ts"
import * as TlsContext from "./TlsContext.ts"

export type NetworkOptions = Pick<
  S3Options,
  | "tls"
  | "idle_conn_timeout"
  | "inactivity_timeout"
  | "max_idle_conns"
  | "dial_timeout"
  | "dial_keep_alive"
  | "tls_handshake_timeout"
>

export interface StorageAgent {
  readonly agent: { readonly httpAgent: http.Agent } | { readonly httpsAgent: https.Agent }
  /** Must be run before requests. Applies changed TLS files. */
  readonly refresh: Effect.Effect<void>
}

class TlsAgent extends https.Agent {
  readonly #context: () => tls.SecureContext
  readonly #handshakeMillis: number

  constructor(options: https.AgentOptions, context: () => tls.SecureContext, handshakeMillis: number) {
    // A resumed session would keep the certificates of the earlier one.
    super({ ...options, maxCachedSessions: 0 })
    this.#context = context
    this.#handshakeMillis = handshakeMillis
  }

  override createConnection(...[options, callback]: Parameters<https.Agent["createConnection"]>) {
    const secured = Object.assign({}, options, { secureContext: this.#context() })
    const socket = super.createConnection(secured, callback)
    // Through a proxy there is no socket yet. The connect timeout applies to the whole tunnel.
    if (socket instanceof tls.TLSSocket) this.#limitHandshake(socket)
    return socket
  }

  #limitHandshake(socket: tls.TLSSocket): void {
    const expire = () =>
      socket.destroy(
        Object.assign(new Error(`no TLS handshake within ${this.#handshakeMillis} ms`), {
          code: "TLS_HANDSHAKE_TIMEOUT"
        })
      )
    socket.once("connect", () => {
      // @effect-diagnostics-next-line globalTimers:off -- the agent makes sockets by itself, outside of any fiber
      const timer = setTimeout(expire, this.#handshakeMillis)
      socket.once("secureConnect", () => clearTimeout(timer)).once("close", () => clearTimeout(timer))
    })
  }
}

/**
 * Returns the proxy in the form that Node's agents accept. Errors never contain its URL, which may include a password.
 */
const proxyEnv = (target: URL) =>
  Effect.flatMap(proxyEnvironment, (environment) => {
    const proxy = proxyOf(target, environment)
    if (proxy === undefined) return Effect.succeed({})
    if (!URL.canParse(proxy) || !/^https?:/i.test(proxy)) {
      const detail = "the proxy in HTTP_PROXY or HTTPS_PROXY is no http:// or https:// URL"
      return Effect.fail(
        new Refused({ code: "BadProxy", detail, advice: "correct the variable, or add the store's host to NO_PROXY" })
      )
    }
    return Effect.succeed({ proxyEnv: target.protocol === "https:" ? { HTTPS_PROXY: proxy } : { HTTP_PROXY: proxy } })
  })

/** Appends the secrets of TLS sessions to the file, for tools that decrypt captured traffic. */
const logKeys = Effect.fnUntraced(function* (agent: https.Agent, path: string) {
  if (path === "") return
  const fs = yield* FileSystem.FileSystem
  const advice = "check storage.options.tls.insecure_key_log_file"
  const file = yield* Effect.mapError(
    fs.open(path, { flag: "a", mode: 0o600 }),
    (error) => new Refused({ code: "BadKeyLog", detail: error.message, advice })
  )
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  agent.on("keylog", (line: Buffer) => void fork(Effect.ignore(file.writeAll(line))))
})

/** Linux accepts at most 32767 s between two probes. */
const keepAliveMillisMax = 32_767_000

const agentFor = Effect.fnUntraced(function* (options: NetworkOptions, target: URL, common: http.AgentOptions) {
  if (target.protocol !== "https:") return { httpAgent: new http.Agent(common), refresh: Effect.void }
  const { context, refresh } = yield* TlsContext.make(options.tls)
  const settings = { ...common, rejectUnauthorized: !options.tls.insecure_skip_verify }
  const httpsAgent = new TlsAgent(settings, context, timerMillis(options.tls_handshake_timeout))
  yield* logKeys(httpsAgent, options.tls.insecure_key_log_file)
  return { httpsAgent, refresh }
})

/** Makes the agent for `target`, the scheme and host of the store. */
export const make = Effect.fnUntraced(function* (options: NetworkOptions, target: URL) {
  const dialMillis = timerMillis(options.dial_timeout)
  const failed = new Set<string>()
  const common = {
    keepAlive: true,
    keepAliveMsecs: Math.min(Duration.toMillis(options.dial_keep_alive), keepAliveMillisMax),
    maxFreeSockets: options.max_idle_conns,
    // Ends only idle connections.
    timeout: timerMillis(options.idle_conn_timeout),
    ...addressOptions(failed, dialMillis),
    ...(yield* proxyEnv(target))
  }
  const { refresh, ...agent } = yield* agentFor(options, target, common)
  const own: http.Agent = "httpsAgent" in agent ? agent.httpsAgent : agent.httpAgent
  yield* Effect.addFinalizer(() => Effect.sync(() => own.destroy()))
  const limitInactivity = inactiveFor(own, timerMillis(options.inactivity_timeout))
  dialWithin(own, dialMillis, failed, (socket) => {
    limitInactivity(socket)
    readBeforeWriteErrors(socket)
  })
  return { agent, refresh } satisfies StorageAgent
})
