/**
 * Limits the time to establish a connection: the TCP connection, or the whole tunnel through a proxy. A connection that
 * takes longer is closed, and the request that waits for it fails with the code ETIMEDOUT.
 *
 * A name may have several addresses. Node tries them one after the other and allows each of them but the last 250 ms,
 * which is less than a round trip to the other side of the world. Here each address gets its share of the timeout. An
 * address that failed is tried last from then on, so that it costs its share only once.
 */
import * as dns from "node:dns"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of Node's agents
import type * as http from "node:http"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"

/** Number of addresses that are tried for one connection. With more of them, each would get too little time. */
const addressesMax = 3

type Connect = http.Agent["createConnection"]

/** The addresses that failed last time. */
type Failed = Set<string>

export const inOrder = (addresses: ReadonlyArray<dns.LookupAddress>, failed: Failed) =>
  addresses.toSorted((a, b) => Number(failed.has(a.address)) - Number(failed.has(b.address))).slice(0, addressesMax)

const lookupAfter =
  (failed: Failed): net.LookupFunction =>
  (hostname, options, callback) =>
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const tried = inOrder(addresses, failed)
      if (options.all === true) return callback(null, tried)
      callback(null, tried[0]!.address, tried[0]!.family)
    })

const remember = (socket: net.Socket, failed: Failed): void => {
  let last: string | undefined
  const fail = (address: string) => void failed.add(address)
  socket.on("connectionAttempt", (address: string) => (last = address))
  socket.on("connectionAttemptFailed", fail).on("connectionAttemptTimeout", fail)
  socket.once("connect", () => {
    failed.delete(socket.remoteAddress ?? "")
    last = undefined
  })
  // The last address has no timeout of its own.
  socket.once("close", () => (last === undefined ? undefined : fail(last)))
}

const isTunnel = (agent: http.Agent, socket: unknown) =>
  agent instanceof https.Agent && socket instanceof net.Socket && !(socket instanceof tls.TLSSocket)

/** Returns options for Node's agents. */
export const addressOptions = (failed: Failed, dialMillis: number) => {
  const autoSelectFamilyAttemptTimeout = Math.max(250, Math.floor(dialMillis / addressesMax))
  // Applies to connections to proxies and credential servers, which do not use the agent's options.
  net.setDefaultAutoSelectFamilyAttemptTimeout(autoSelectFamilyAttemptTimeout)
  return { lookup: lookupAfter(failed), autoSelectFamilyAttemptTimeout }
}

/**
 * Applies to all connections of the agent from now on. `opened` is called with each connection when it is ready for
 * requests.
 */
export const dialWithin = (
  agent: http.Agent,
  millis: number,
  failed: Failed,
  opened: (socket: net.Socket) => void
): void => {
  const connect: Connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const late = () =>
      Object.assign(new Error(`no connection within ${millis} ms (dial_timeout)`), { code: "ETIMEDOUT" })
    // For a tunnel, the callback reports that it is established; the socket to the proxy exists long before that.
    const socket = connect(options, (error, stream) => {
      clearTimeout(timer)
      if (isTunnel(agent, socket) && error === null && stream instanceof net.Socket) opened(stream)
      callback?.(error, stream)
    })
    // @effect-diagnostics-next-line globalTimers:off -- the agent makes sockets by itself, outside of any fiber
    const timer = setTimeout(() => socket?.destroy(late()), millis)
    socket?.once("close", () => clearTimeout(timer))
    if (!(socket instanceof net.Socket) || isTunnel(agent, socket)) return socket
    remember(socket, failed)
    socket.once("connect", () => clearTimeout(timer))
    socket.once(socket instanceof tls.TLSSocket ? "secureConnect" : "connect", () => opened(socket))
    return socket
  }
}
