/**
 * Servers that refuse an upload (too large, no space left, too busy) respond and close the connection while the body is
 * still being sent. The next write then fails with EPIPE or ECONNRESET, upon which Node closes the socket and drops the
 * response that has arrived. This module delays that error until the response, if there is one, has been read.
 */
import type * as net from "node:net"

/** Data that has arrived is read in the next turn of the event loop, which also detects the end of the connection. */
const graceMillis = 1000

type Done = (error?: Error | null) => void

const isClosedByPeer = (error: Error | null | undefined) =>
  error !== null && error !== undefined && "code" in error && (error.code === "EPIPE" || error.code === "ECONNRESET")

const afterReading =
  (done: Done): Done =>
  (error) => {
    if (!isClosedByPeer(error)) return done(error)
    // @effect-diagnostics-next-line globalTimers:off -- the socket is the agent's, outside of any fiber
    setTimeout(() => done(error), graceMillis).unref()
  }

export const readBeforeWriteErrors = (socket: net.Socket): void => {
  const write = socket._write.bind(socket)
  const writeMany = socket._writev?.bind(socket)
  socket._write = (chunk, encoding, done) => write(chunk, encoding, afterReading(done))
  if (writeMany !== undefined) socket._writev = (chunks, done) => writeMany(chunks, afterReading(done))
}
