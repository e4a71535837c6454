/**
 * Loads only the native part of the package `lmdb`, to check which LMDB it was built from. This takes 6 ms. Loading the
 * package with all its JavaScript takes 18 ms and blocks the main thread, which calls nothing else of it. The file is
 * located as the package itself locates it.
 */
import { createRequire } from "node:module"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for the path of a package, before there are any services
import * as path from "node:path"

/** Functions that the patches of this project add to the package. */
export interface ChildTable {
  /** Returns the id of a child that has ended and was not waited for, or 0. The exit code stays available. */
  readonly endedChild: () => number
  /** Waits for that child. */
  readonly reapChild: (pid: number) => number
}

interface Addon extends Partial<ChildTable> {
  readonly version: { readonly patch: number; readonly versionString: string }
}

const entry = createRequire(import.meta.url).resolve("lmdb")
const load: (directory: string) => Addon = createRequire(entry)("node-gyp-build-optional-packages")

const addon = load(path.dirname(entry).replace(/dist$/, ""))

export const { version } = addon

/** Undefined in a build without the patches of this project. */
export const children: ChildTable | undefined =
  addon.endedChild === undefined || addon.reapChild === undefined
    ? undefined
    : { endedChild: addon.endedChild, reapChild: addon.reapChild }
