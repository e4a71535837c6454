/**
 * Writes dist/THIRD-PARTY.txt: the packages that are part of the bundles or of the compiled addons, with the texts of
 * their licences. A licence that is not on the list makes the build fail, because it may require more than a copy of
 * its text. (rollup-plugin-license uses the nearest package.json as that of the package. That is wrong for packages
 * that have one for each module format.)
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Plugin } from "rolldown"

const allowed = new Set(["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"])

export interface ThirdParty {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly text: string
}

/** Returns the directory of the package that contains a module, or undefined. */
const packageOf = (id: string): string | undefined =>
  new RegExp(`^\\0?(.*[\\\\/]node_modules[\\\\/](?:@[^\\\\/]+[\\\\/])?[^\\\\/]+)[\\\\/]`).exec(id)?.[1]

/** Reads the licence of a package. Throws if the package does not state it, or if it is not allowed. */
export const read = (directory: string): ThirdParty => {
  const { license, name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  if (!allowed.has(license)) {
    throw new Error(`${name} ${version} has the licence ${license}, which is none of ${[...allowed].join(", ")}`)
  }
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry))
  const text =
    file === undefined ? "(The package has no file with its text.)" : readFileSync(join(directory, file), "utf8")
  return { name, version, license, text: text.trim() }
}

/**
 * The packages of the addons (scripts/prebuild.mjs), with the licence files of the libraries that are compiled into
 * them.
 */
const addons: Readonly<Record<string, ReadonlyArray<string>>> = {
  lmdb: [
    "dependencies/lmdb-data-v1/libraries/liblmdb/LICENSE",
    "dependencies/lmdb-data-v1/libraries/liblmdb/COPYRIGHT",
    "dependencies/lz4/lib/LICENSE"
  ],
  "zstd-napi": ["NOTICE", "deps/zstd/LICENSE", "node_modules/node-addon-api/LICENSE.md"]
}

const readAddons = (): ReadonlyArray<ThirdParty> =>
  Object.entries(addons).map(([name, libraries]) => {
    const directory = join(import.meta.dirname, "..", "node_modules", name)
    const { license, text, version } = read(directory)
    const texts = libraries.map((file) => `${file}:\n\n${readFileSync(join(directory, file), "utf8").trim()}`)
    return { name, version, license, text: [text, ...texts].join("\n\n") }
  })

const section = ({ license, name, text, version }: ThirdParty): string =>
  `${"-".repeat(78)}\n${name} ${version}, ${license}\n\n${text}\n`

/** The directories of the packages of all bundles that this process has made. */
const directories = new Set<string>()

export const thirdParty: Plugin = {
  name: "third-party",
  generateBundle(_, bundle) {
    const ids = Object.values(bundle).flatMap((output) => (output.type === "chunk" ? output.moduleIds : []))
    for (const id of ids) {
      const directory = packageOf(id.split("?")[0]!)
      if (directory !== undefined) directories.add(directory)
    }
    const packages = [...Array.from(directories, read), ...readAddons()].sort((a, b) => (a.name < b.name ? -1 : 1))
    this.emitFile({ type: "asset", fileName: "THIRD-PARTY.txt", source: packages.map(section).join("\n") })
  }
}
