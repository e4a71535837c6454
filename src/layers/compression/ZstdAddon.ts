/**
 * The native part of zstd: the addon that the package brings for this platform (scripts/prebuild.mjs), or else the
 * package zstd-napi, which is optional, because where the addon is there it need not be installed.
 */
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import packageJson from "../../../package.json" with { type: "json" }

export type Zstd = typeof import("zstd-napi/binding.js")

const name = `prebuilds/${process.platform}-${process.arch}/zstd.node`
/** Resolved from this file, and from the bundle in dist/. */
const prebuilt = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? `../../../${name}` : `../${name}`, import.meta.url)
)

const version = packageJson.optionalDependencies["zstd-napi"]

/** What follows names the modules that led there. */
const firstLine = (error: unknown): string => String(error).split("\n")[0]!

/** Loads it. Throws when neither can be loaded, with the causes and what to do. */
// @effect-diagnostics-next-line asyncFunction:off -- its only step is an import, and callers make it an Effect
export const load = async (): Promise<Zstd> => {
  try {
    return createRequire(import.meta.url)(prebuilt)
  } catch (first) {
    try {
      return (await import("zstd-napi/binding.js")).default
    } catch (second) {
      const remedy = `run npm install zstd-napi@${version} where lightningstream is installed`
      throw new Error(`zstd cannot be loaded: ${remedy} (${firstLine(first)}; ${firstLine(second)})`, { cause: second })
    }
  }
}
