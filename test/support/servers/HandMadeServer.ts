/**
 * HTTP servers on 127.0.0.1 for tests of clients with misbehaving servers. The test determines the responses, if any.
 * The servers end with their scope.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- answers that break HTTP's rules need node's servers
import * as http from "node:http"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as https from "node:https"
import * as net from "node:net"

export interface HandMade {
  readonly port: number
  readonly endpoint_url: string
  /** Number of open connections. */
  readonly connections: () => number
  /** Number of connections accepted so far. */
  readonly accepted: () => number
}

const listen = (server: net.Server, scheme: string) => {
  const open = new Set<net.Socket>()
  let accepted = 0
  server.on("connection", (socket: net.Socket) => {
    accepted++
    open.add(socket)
    socket.on("error", () => {}).on("close", () => open.delete(socket))
  })
  const started = Effect.callback<HandMade>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      resume(
        Effect.succeed({
          port,
          endpoint_url: `${scheme}://127.0.0.1:${port}`,
          connections: () => open.size,
          accepted: () => accepted
        })
      )
    })
  })
  const stop = Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    for (const socket of open) socket.destroy()
  })
  return Effect.acquireRelease(started, () => stop)
}

export const serve = (handler: http.RequestListener) => listen(http.createServer(handler), "http")

export const serveTls = (options: https.ServerOptions, handler: http.RequestListener) =>
  listen(https.createServer(options, handler), "https")

/** Accepts connections and passes them to a function. By default, it reads and never responds. */
export const serveRaw = (onConnection: (socket: net.Socket) => void = (socket) => socket.resume()) =>
  listen(net.createServer(onConnection), "http")

/**
 * A proxy whose tunnels all lead to that port of 127.0.0.1, whatever was requested. `onConnect` receives the request.
 */
export const serveTunnel = (port: number, onConnect: (request: http.IncomingMessage) => void) => {
  const server = http.createServer()
  server.on("connect", (request, socket) => {
    onConnect(request)
    const upstream = net.connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
      upstream.pipe(socket)
      socket.pipe(upstream)
    })
    upstream.on("error", () => socket.destroy())
    socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy())
  })
  return listen(server, "http")
}

/** Returns the response to a listing with these objects, each of which has one byte. */
export const listing = (...names: ReadonlyArray<string>) =>
  `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>${names
    .map((name) => `<Contents><Key>${name}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`)
    .join("")}</ListBucketResult>`

export const errorXml = (code: string) =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>of the test</Message></Error>`
