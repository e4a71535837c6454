/**
 * Closes connections on which nothing moves while a request waits: one whose other end is gone without a word, or whose
 * server hangs, would keep the request until `client_timeout`, while new ones work.
 *
 * The time counts from the last byte in either direction. A connection that we don't read from, because the reader of a
 * body is slow, is not closed. With it go the idle ones of the agent: what has cut one has probably cut them all, and
 * each would cost the same time again.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- Node's agents
import type * as http from "node:http"
import type * as net from "node:net"

const silent = (millis: number) =>
  Object.assign(new Error(`nothing came or went for ${millis} ms (inactivity_timeout)`), { code: "ETIMEDOUT" })

const closeIdle = ({ freeSockets }: http.Agent) => {
  for (const sockets of Object.values(freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}

/** Without it, the reader of a body would learn that the connection was "aborted", and not why. */
const responseOn = (socket: net.Socket) =>
  (socket as { readonly _httpMessage?: { readonly res?: http.IncomingMessage } })._httpMessage?.res

/** From now on. Gives what is to be called with each new connection when it is ready for requests. */
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
      // Those that are idle are closed by the agent, after a time of their own.
      if (idle.has(socket)) return
      if (socket.isPaused()) return void socket.setTimeout(millis)
      closeIdle(agent)
      responseOn(socket)?.destroy(silent(millis))
      socket.destroy(silent(millis))
    })
  }
}
