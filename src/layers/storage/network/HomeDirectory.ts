/**
 * Provides a home directory for the SDKs of the stores, which look for their own files there whatever the configuration
 * says. A container that runs with an arbitrary user id has neither HOME nor an entry in passwd, and each request would
 * fail.
 */
import { Effect } from "effect"
import * as os from "node:os"

/** The directory that container runtimes use for users without an entry. */
const nobody = "/"

export const ensureHome: Effect.Effect<void> = Effect.sync(() => {
  try {
    os.homedir()
  } catch {
    process.env["HOME"] = nobody
  }
})
