/**
 * Compiled addons, which the package contains for some platforms, so that no compiler is needed there:
 * `prebuilds/<platform>-<arch>/lmdb.node` and `…/zstd.node`, with their SHA-256 in `prebuilds/SHA256SUMS`.
 * `scripts/prebuild.mjs` creates them when the package is packed. A clone has none.
 */
import { createHash } from "node:crypto"
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"

/** Returns the path of an addon (`lmdb` or `zstd`) below `prebuilds/`. */
export const nameOf = (addon, platform = process.platform, arch = process.arch) => `${platform}-${arch}/${addon}.node`

export const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex")

/** Returns the checksums in SHA256SUMS, which has the format of sha256sum(1), by file name. */
const sumsIn = (directory) => {
  const file = join(directory, "SHA256SUMS")
  if (!existsSync(file)) return new Map()
  const lines = readFileSync(file, "utf8").split("\n")
  return new Map(lines.filter((line) => line !== "").map((line) => [line.slice(66), line.slice(0, 64)]))
}

/** Returns why the addon for this machine cannot be used, or undefined if it can. */
const problemOf = (directory, addon) => {
  const name = nameOf(addon)
  const file = join(directory, name)
  if (!existsSync(file)) return `the package has none for ${process.platform}-${process.arch}`
  return sumsIn(directory).get(name) === sha256(file) ? undefined : `${file} is not what SHA256SUMS says`
}

/**
 * Puts the addon for this machine where the package `lmdb` first looks for a compiled one. Returns undefined, or the
 * reason why the package must be compiled, which is not an error. `isRight` loads the addon, because one that was built
 * for a newer C library does not load.
 */
export const usePrebuilt = (directory, lmdb, isRight) => {
  const problem = problemOf(directory, "lmdb")
  if (problem !== undefined) return problem
  const release = join(lmdb, "build", "Release")
  mkdirSync(release, { recursive: true })
  copyFileSync(join(directory, nameOf("lmdb")), join(release, "lmdb.node"))
  if (isRight()) return undefined
  rmSync(join(lmdb, "build"), { recursive: true })
  return `that for ${process.platform}-${process.arch} does not load here`
}

/**
 * Removes the addon of zstd if it is damaged. It is loaded from its place in `prebuilds/`; without it, the package
 * zstd-napi is used. Returns the reason, or undefined.
 */
export const removeDamagedZstd = (directory) => {
  const file = join(directory, nameOf("zstd"))
  const problem = existsSync(file) ? problemOf(directory, "zstd") : undefined
  if (problem !== undefined) rmSync(file)
  return problem
}
