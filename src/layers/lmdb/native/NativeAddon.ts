/**
 * Loads only the native part of the package `lmdb`, to check which LMDB it was built from. This takes 6 ms. Loading the
 * package with all its JavaScript takes 18 ms and blocks the main thread, which calls nothing else of it. The file is
 * located as the package itself locates it.
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
