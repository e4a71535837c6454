/**
 * The time-out of making a connection, for SDKs that have none of their own: the TCP connection, or the tunnel through
 * a proxy as a whole. What is late is closed, and fails the request that waits for it with the code ETIMEDOUT.
 */
import { Duration } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's agents
import type * as http from "node:http"
import * as net from "node:net"
import * as tls from "node:tls"
import type { StorageAgent } from "./HttpAgent.ts"

type Connect = http.Agent["createConnection"]

const connectWithin =
  (millis: number, connect: Connect, isSecure: boolean): Connect =>
  (options, callback) => {
    const late = () =>
      Object.assign(new Error(`no connection within ${millis} ms (dial_timeout)`), { code: "ETIMEDOUT" })
    // Of a tunnel, the callback tells when it is there; the socket, which leads to the proxy, is there long before.
    const socket = connect(options, (error, stream) => {
      clearTimeout(timer)
      callback?.(error, stream)
    })
    // @effect-diagnostics-next-line globalTimers:off -- the agent makes sockets by itself, outside of any fiber
    const timer = setTimeout(() => socket?.destroy(late()), millis)
    const isTunnel = isSecure && socket instanceof net.Socket && !(socket instanceof tls.TLSSocket)
    if (!isTunnel) socket?.once("connect", () => clearTimeout(timer))
    socket?.once("close", () => clearTimeout(timer))
    return socket
  }

/** From now on, for all connections of the agent. */
export const dialWithin = ({ agent }: Pick<StorageAgent, "agent">, duration: Duration.Duration): void => {
  const isSecure = "httpsAgent" in agent
  const own: http.Agent = isSecure ? agent.httpsAgent : agent.httpAgent
  own.createConnection = connectWithin(Duration.toMillis(duration), own.createConnection.bind(own), isSecure)
}
