/**
 * `HttpServer` over Node's server, with Effect's adapter. Its limits bound what any number of clients can use:
 * connections, bytes of headers (a longer path is a 431), and the time in which a request is sent and its response is
 * read.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Cause, Effect, Layer } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the server that the adapter wraps, with its limits
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { type ListenAddress, parseListenAddress } from "../../domain/settings/values/SettingValues.ts"
import { CannotListen, HttpServer, type PageResponse, type Pages } from "../../services/HttpServer.ts"

/** Limits for one client and for all clients together. */
export interface Limits {
  /**
   * Further connections are closed at once. People, probes and Prometheus need far fewer, since a page takes little.
   */
  readonly connections: number
  readonly headerBytes: number
  /** Time in which a request must have arrived, with its body, which is never read. */
  readonly requestMillis: number
  /** Time from a request to the end of its response. The connection of a client that does not read is closed then. */
  readonly responseMillis: number
  /** Time for which a connection may be idle between two requests. */
  readonly keepAliveMillis: number
}

export const defaultLimits: Limits = {
  connections: 100,
  headerBytes: 16_384,
  requestMillis: 10_000,
  responseMillis: 30_000,
  keepAliveMillis: 5_000
}

/** Pages show the current state to the client that asks, so they are not cached, and load nothing from elsewhere. */
const commonHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const respond = ({ body, contentType, headers, status = 200 }: PageResponse) =>
  HttpServerResponse.text(body, { status, contentType, headers: { ...commonHeaders, ...headers } })

const plain = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): PageResponse => ({
  status,
  contentType: "text/plain; charset=utf-8",
  body: `${body}\n`,
  headers
})

const notFound = plain(404, "not found")
const notAllowed = plain(405, "method not allowed", { allow: "GET, HEAD" })
const failed = plain(500, "this page could not be made: see the log")

/** Returns the path of a request without its query. A client may send a path or a whole URL. */
const pathOf = (url: string): string => /^(?:https?:\/\/[^/]*)?([^?#]*)/i.exec(url)![1]!

const handle = (pages: Pages) =>
  Effect.gen(function* () {
    const { method, url } = yield* HttpServerRequest.HttpServerRequest
    const path = pathOf(url)
    if (!Object.hasOwn(pages, path)) return respond(notFound)
    if (method !== "GET" && method !== "HEAD") return respond(notAllowed)
    return respond(
      yield* pages[path]!.pipe(
        // The adapter's own handlers stay attached. Nothing more is done for a client that has disconnected.
        Effect.interruptible,
        Effect.catchCauseIf(
          (cause) => !Cause.hasInterruptsOnly(cause),
          (cause) => Effect.as(Effect.logError("Cannot render a page", { path }, cause), failed)
        )
      )
    )
  })

const makeServer = ({ connections, headerBytes, keepAliveMillis, requestMillis, responseMillis }: Limits) => {
  const server = http.createServer({
    maxHeaderSize: headerBytes,
    headersTimeout: requestMillis,
    requestTimeout: requestMillis,
    keepAliveTimeout: keepAliveMillis,
    connectionsCheckingInterval: Math.min(1_000, requestMillis)
  })
  server.maxConnections = connections
  // Closes a connection on which nothing is ever sent.
  server.setTimeout(responseMillis)
  server.on("request", ({ socket }, response) => {
    // @effect-diagnostics-next-line globalTimers:off -- it ends a socket of Node's, whatever the fibers do
    const timer = setTimeout(() => socket.destroy(), responseMillis).unref()
    response.on("close", () => clearTimeout(timer))
  })
  return server
}

/** Milliseconds between two warnings of the same kind. */
const silence = 60_000

/**
 * Logs errors of accepting a connection, such as a lack of descriptors, after which Node continues. Without a listener
 * they would end the process.
 */
const warnOfErrors = (server: http.Server) =>
  Effect.map(Effect.context<never>(), (context) => {
    let warned = -Infinity
    server.on("error", (error) => {
      const now = performance.now()
      if (now - warned < silence) return
      warned = now
      Effect.runForkWith(context)(Effect.logWarning("The HTTP server could not accept a connection", error))
    })
  })

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

/** Returns the address with the port that the system has chosen, if the configured port is 0. */
const listeningOn = (server: http.Server): string => {
  const { address, port } = server.address() as AddressInfo
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

const serve = (address: string, { host, port }: ListenAddress, limits: Limits) =>
  Effect.fn("HttpServerNode.serve")(function* (pages: Pages) {
    const node = makeServer(limits)
    const server = yield* NodeHttpServer.make(() => node, {
      port,
      ...(host === "" ? {} : { host }),
      disablePreemptiveShutdown: true
    }).pipe(Effect.mapError(({ cause }) => new CannotListen({ address, code: codeOf(cause) })))
    yield* warnOfErrors(node)
    yield* server.serve(handle(pages))
    // Open connections do not keep the process alive.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        node.close()
        node.closeAllConnections()
      })
    )
    yield* Effect.logInfo("Serving metrics, health and status over HTTP", { address: listeningOn(node) })
  })

/** `address` has the form that it has in the configuration. */
export const layerWith = (address: string, limits: Limits = defaultLimits) =>
  Layer.succeed(HttpServer, { serve: serve(address, parseListenAddress(address)!, limits) })
