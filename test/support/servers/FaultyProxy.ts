/**
 * A proxy for a server on 127.0.0.1, which forwards requests unchanged, or with the faults of a bad network or a broken
 * server.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- raw requests and sockets: what is broken here is HTTP itself
import * as http from "node:http"
import { errorXml, serve } from "./HandMadeServer.ts"

export type Fault =
  | "none"
  /** Accepts the request and never responds. */
  | "hang"
  /** Resets the connection. */
  | "reset"
  /** Ends bodies of objects in the middle. */
  | "cut"
  /** Stops bodies of objects in the middle, without ending them. */
  | "stall"
  /** Responds with a web page and a successful status. */
  | "page"
  /** Responds with a web page and a successful status, but only to requests of objects. */
  | "page for objects"
  /** Responds with this status and no body. */
  | 500
  | 503

const page = "<!DOCTYPE html><html><body><p>We are down for maintenance.</p></body></html>"

const pass = (port: number, request: http.IncomingMessage, response: http.ServerResponse, fault: Fault) => {
  const { headers, method, url } = request
  const onward = http.request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
    const type = answer.headers["content-type"] ?? ""
    response.writeHead(answer.statusCode!, answer.headers)
    if (fault === "none" || method !== "GET" || type.includes("xml")) return void answer.pipe(response)
    answer.once("data", (chunk: Buffer) => {
      response.write(chunk.subarray(0, chunk.length >> 1), () => {
        if (fault === "cut") request.socket.destroy()
      })
    })
  })
  onward.on("error", () => request.socket.destroy())
  request.pipe(onward)
}

export const make = Effect.fnUntraced(function* (port: number) {
  let fault: Fault = "none"
  let faults = 0
  const server = yield* serve((request, response) => {
    const isObject = request.method === "GET" && !request.url!.includes("list-type=")
    if (fault === "none" || fault === "cut" || fault === "stall") return pass(port, request, response, fault)
    if (fault === "page for objects" && !isObject) return pass(port, request, response, "none")
    faults++
    if (fault === "page" || fault === "page for objects")
      return void request.resume().on("end", () => response.writeHead(200, { "content-type": "text/html" }).end(page))
    if (fault === "hang") return void request.resume()
    if (fault === "reset") return void request.socket.resetAndDestroy()
    const status = fault
    const body = errorXml(status === 503 ? "SlowDown" : "InternalError")
    request.resume().on("end", () => response.writeHead(status, { "content-type": "application/xml" }).end(body))
  })
  return {
    endpoint_url: server.endpoint_url,
    set: (next: Fault) => Effect.sync(() => void (fault = next)),
    /** Number of requests that were affected by a fault. */
    faults: () => faults
  }
})
