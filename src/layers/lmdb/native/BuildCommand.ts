/**
 * The command to run when the package `lmdb` has no binary, or one with the wrong data format. It contains the full
 * path, because the log may be read without knowing where the daemon is installed. It is separate from the package,
 * which may not even load.
 */
import { fileURLToPath } from "node:url"

/** Resolved from this file, and from the bundle in dist/. */
const script = new URL(
  import.meta.url.endsWith(".ts") ? "../../../../scripts/build-lmdb.mjs" : "../scripts/build-lmdb.mjs",
  import.meta.url
)

export const lmdbBuildCommand = `node ${fileURLToPath(script)}`
