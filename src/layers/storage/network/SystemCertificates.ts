/** The system's trusted CA certificates without duplicates, since files and directories overlap on most systems. */
import { Effect } from "effect"
import * as tls from "node:tls"
import { Refused } from "../../../services/Storage.ts"

const unreadable = (error: unknown) =>
  new Refused({
    code: "BadTls",
    detail: `the system's certificates cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    advice: "check SSL_CERT_FILE and SSL_CERT_DIR"
  })

/** In PEM. Node reads and parses them once, which takes 30 ms. */
export const systemAuthorities = Effect.try({
  try: () => [...new Set(tls.getCACertificates("system"))],
  catch: unreadable
})
