/**
 * A server in a separate thread that refuses each upload with 413 after a number of bytes, and closes the connection at
 * once, while the body is still being sent. In this thread, it could not do so while the client is busy.
 */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"

const code = `
const { parentPort, workerData } = require("node:worker_threads")
const { createServer } = workerData.cert === undefined ? require("node:net") : require("node:tls")
const body = "<html>too large</html>"
const head = "HTTP/1.1 413 Too Large\\r\\nconnection: close\\r\\ncontent-length: " + body.length
const server = createServer(workerData, (socket) => {
  let seen = 0
  socket.on("error", () => {}).on("data", (chunk) => {
    seen += chunk.length
    if (seen < workerData.after || socket.isPaused()) return
    socket.pause().write(head + "\\r\\n\\r\\n" + body, () => socket.destroy())
  })
})
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port))
`

interface Options {
  /** Number of bytes of the request, including its head, after which it is refused. */
  readonly after: number
  /** If given, the server uses TLS with them. */
  readonly cert?: string
  readonly key?: string
}

/** Starts the server, which runs until the scope closes. Returns its port. */
export const make = (options: Options) =>
  Effect.acquireRelease(
    Effect.sync(() => new Worker(code, { eval: true, workerData: options })),
    (worker) => Effect.promise(() => worker.terminate())
  ).pipe(
    Effect.flatMap((worker) =>
      Effect.callback<number>((resume) => {
        worker.once("message", (port: number) => resume(Effect.succeed(port)))
      })
    )
  )
