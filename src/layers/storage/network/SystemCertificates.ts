/**
 * The certificates that the system trusts, each once: files and folders overlap on most systems. Read by a thread that
 * ends with it, since reading and parsing a hundred and more takes 30 ms, in which the calling thread would do nothing
 * else.
 */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import { Refused } from "../../../services/Storage.ts"

const script = `require("node:worker_threads").parentPort.postMessage(require("node:tls").getCACertificates("system"))`

const unreadable = (error: Error) =>
  new Refused({
    code: "BadTls",
    detail: `the system's certificates cannot be read: ${error.message}`,
    advice: "check SSL_CERT_FILE and SSL_CERT_DIR"
  })

/** PEM. */
export const systemAuthorities = Effect.callback<ReadonlyArray<string>, Refused>((resume) => {
  const worker = new Worker(script, { eval: true })
  worker.once("message", (certificates: ReadonlyArray<string>) => resume(Effect.succeed([...new Set(certificates)])))
  worker.once("error", (error) => resume(Effect.fail(unreadable(error))))
  return Effect.promise(() => worker.terminate())
})
