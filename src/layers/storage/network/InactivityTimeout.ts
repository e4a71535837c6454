/**
 * Closes connections that are silent while a request waits. If the other end has disappeared or the server hangs, such
 * a connection would block the request until `client_timeout`, although new connections work.
 *
 * The time counts from the last byte in either direction. A connection that we do not read from, because the consumer
 * of a body is slow, is not closed. The agent's idle connections are closed as well: they have probably failed for the
 * same reason, and each would cost the same time again.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- Node's agents
import type * as http from "node:http"
import type * as net from "node:net"

const silent = (millis: number) =>
  Object.assign(new Error(`nothing came or went for ${millis} ms (inactivity_timeout)`), { code: "ETIMEDOUT" })

const closeIdle = ({ freeSockets }: http.Agent) => {
  for (const sockets of Object.values(freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}

/**
 * The response gets the error, too. Otherwise the reader of the body would only see that the connection was "aborted".
 */
const responseOn = (socket: net.Socket) =>
  (socket as { readonly _httpMessage?: { readonly res?: http.IncomingMessage } })._httpMessage?.res

/**
 * Applies to the agent's connections from now on. Returns a function to call with each new connection when it is ready
 * for requests.
 */
export const inactiveFor = (agent: http.Agent, millis: number): ((socket: net.Socket) => void) => {
  const idle = new WeakSet<object>()
  const keep = agent.keepSocketAlive.bind(agent)
  const reuse = agent.reuseSocket.bind(agent)
  agent.keepSocketAlive = (socket) => {
    idle.add(socket)
    return keep(socket)
  }
  agent.reuseSocket = (socket, request) => {
    idle.delete(socket)
    reuse(socket, request)
    ;(socket as net.Socket).setTimeout(millis)
  }
  return (socket) => {
    socket.setTimeout(millis)
    socket.on("timeout", () => {
      // The agent closes idle connections after a timeout of its own.
      if (idle.has(socket)) return
      if (socket.isPaused()) return void socket.setTimeout(millis)
      closeIdle(agent)
      responseOn(socket)?.destroy(silent(millis))
      socket.destroy(silent(millis))
    })
  }
}
