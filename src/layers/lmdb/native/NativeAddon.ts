/**
 * The native part of the package `lmdb` alone, which says of which LMDB it was made. It is there after 6 ms, and the
 * package with all its JavaScript after 18, for which the event loop of the main thread stood still although nothing
 * else of it is ever called there. Found as the package itself finds it.
 */
import { createRequire } from "node:module"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for the path of a package, before there are any services
import * as path from "node:path"

interface Addon {
  readonly version: { readonly patch: number; readonly versionString: string }
}

const entry = createRequire(import.meta.url).resolve("lmdb")
const load: (directory: string) => Addon = createRequire(entry)("node-gyp-build-optional-packages")

export const { version } = load(path.dirname(entry).replace(/dist$/, ""))
