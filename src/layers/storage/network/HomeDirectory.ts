/**
 * A home directory for the SDKs of the stores, which look for their own files there whatever the configuration says.
 * Without HOME and without an entry in passwd, as containers run with any user id, the system has none to tell, and
 * each request would fail.
 */
import { Effect } from "effect"
import * as os from "node:os"

/** Where container runtimes put users without an entry. */
const nobody = "/"

export const ensureHome: Effect.Effect<void> = Effect.sync(() => {
  try {
    os.homedir()
  } catch {
    process.env["HOME"] = nobody
  }
})
