/**
 * What to run where the package `lmdb` is missing its binary, or has one of the wrong data format: with the full path,
 * since whoever reads it in a log does not know in which directory the daemon was installed. Apart from the package,
 * which may not even load.
 */
import { fileURLToPath } from "node:url"

/** From this file, and from the bundle in dist/. */
const script = new URL(
  import.meta.url.endsWith(".ts") ? "../../../../scripts/build-lmdb.mjs" : "../scripts/build-lmdb.mjs",
  import.meta.url
)

export const lmdbBuildCommand = `node ${fileURLToPath(script)}`
