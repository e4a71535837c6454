/**
 * Sends one request without keys to the store's server, over a connection like those of the store's own requests, with
 * the same proxies, CA certificates and timeouts. Any response is sufficient: its headers have the server's time, and
 * its connection has the certificates.
 */
import { Clock, Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- certificates of the connection
import * as http from "node:http"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as https from "node:https"
import * as tls from "node:tls"
import { Unavailable } from "../../services/Storage.ts"
import { ofConnection, oneLine } from "../storage/network/ConnectionErrors.ts"
import * as HttpAgent from "../storage/network/HttpAgent.ts"

/** Limits the time for a server that accepts the connection but sends nothing. */
const patience = "20 seconds"

interface Certificate {
  readonly subject: string
  readonly validToMillis: number
}

/** Returns the chain of certificates, beginning with the server's. A root certificate is its own issuer. */
const chainOf = (socket: tls.TLSSocket): ReadonlyArray<Certificate> => {
  const chain: Array<Certificate> = []
  const seen = new Set<string>()
  let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (certificate?.fingerprint256 !== undefined && !seen.has(certificate.fingerprint256)) {
    seen.add(certificate.fingerprint256)
    const { CN, O } = certificate.subject ?? {}
    chain.push({ subject: [CN ?? O ?? "no name"].flat().join(), validToMillis: Date.parse(certificate.valid_to) })
    certificate = certificate.issuerCertificate
  }
  return chain
}

const failureOf = (error: NodeJS.ErrnoException) => {
  // If an address refuses the connection, the error has nothing but its code.
  const detail = error.message === "" ? String(error.code) : error.message
  return ofConnection(error.code ?? error.name, oneLine(detail))
}

const requestOnce = (target: URL, { agent }: HttpAgent.StorageAgent) =>
  Effect.callback<
    { readonly date: string | undefined; readonly status: number; readonly chain: ReadonlyArray<Certificate> },
    ReturnType<typeof failureOf>
  >((resume) => {
    const head = { method: "HEAD", path: "/" }
    const request =
      "httpsAgent" in agent
        ? https.request(target, { ...head, agent: agent.httpsAgent })
        : http.request(target, { ...head, agent: agent.httpAgent })
    request.on("error", (error) => resume(Effect.fail(failureOf(error))))
    request.on("response", ({ headers, socket, statusCode }) => {
      const chain = socket instanceof tls.TLSSocket ? chainOf(socket) : []
      resume(Effect.succeed({ date: headers.date, status: statusCode ?? 0, chain }))
      request.destroy()
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

/** `target` is the scheme and host of the store. */
export const probe = Effect.fnUntraced(function* (options: HttpAgent.NetworkOptions, target: URL) {
  const agent = yield* HttpAgent.make(options, target)
  const sentMillis = yield* Clock.currentTimeMillis
  const response = yield* Effect.timeoutOrElse(requestOnce(target, agent), {
    duration: patience,
    orElse: () => new Unavailable({ code: "Timeout", detail: `no response within ${patience}` })
  })
  const receivedMillis = yield* Clock.currentTimeMillis
  return { ...response, sentMillis, receivedMillis, isVerified: !options.tls.insecure_skip_verify }
}, Effect.scoped)
