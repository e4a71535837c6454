/**
 * Fills `prebuilds/` with the compiled addons of the packages `lmdb` and `zstd-napi` and their checksums, as parts of
 * the published package: npm runs this before `npm pack` and `npm publish`. The addons for the platform of this machine
 * are copies of what the installation has compiled. `--arch arm64` compiles those for Linux on ARM with a cross
 * compiler (Debian: g++-aarch64-linux-gnu). `--keep` preserves existing addons for other platforms.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { prefixWithHeaders } from "./lmdb/NodeHeaders.mjs"
import { nameOf, sha256 } from "./lmdb/Prebuilt.mjs"

const root = dirname(import.meta.dirname)
const prebuilds = join(root, "prebuilds")
const { values } = parseArgs({ options: { arch: { type: "string" }, keep: { type: "boolean", default: false } } })
const arch = values.arch ?? process.arch

/** The addons by name, each with its package and the file that the package's build creates. */
const addons = {
  lmdb: { directory: join(root, "node_modules", "lmdb"), built: "build/Release/lmdb.node" },
  zstd: { directory: join(root, "node_modules", "zstd-napi"), built: "build/Release/binding.node" }
}

const fail = (problem) => {
  process.stderr.write(`prebuild: ${problem}\n`)
  process.exit(1)
}

/** Removes the debug symbols, which are half of the file. */
const strip = (file, program) => {
  const { error, status } = spawnSync(program, ["--strip-unneeded", file], { stdio: "inherit" })
  if (status !== 0) fail(`${program} failed: ${error?.message ?? `it ended with ${status}`}`)
}

/** Compiles the patched source with another compiler, in a copy of the package. Returns the file. */
const crossCompile = (temporary, { built, directory }, target) => {
  const copy = mkdtempSync(join(temporary, "addon-"))
  cpSync(directory, copy, { recursive: true, filter: (path) => path !== join(directory, "build") })
  const { error, status } = spawnSync(
    "npm",
    ["exec", "--yes", "--", "node-gyp@12", "rebuild", `--arch=${arch}`, `--nodedir=${prefixWithHeaders(root)}`],
    {
      cwd: copy,
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        NODE_PATH: join(root, "node_modules"),
        CC: `${target}-gcc`,
        CXX: `${target}-g++`,
        AR: `${target}-ar`,
        LMDB_DATA_V1: "true",
        ENABLE_V8_FUNCTIONS: "false",
        JOBS: "max"
      }
    }
  )
  if (status !== 0) fail(`node-gyp failed: ${error?.message ?? `it ended with ${status}`}`)
  return join(copy, built)
}

const temporary = mkdtempSync(join(tmpdir(), "prebuild-"))
try {
  const target = arch === process.arch ? undefined : { arm64: "aarch64-linux-gnu", x64: "x86_64-linux-gnu" }[arch]
  if (arch !== process.arch && (target === undefined || process.platform !== "linux"))
    fail(`cannot compile for ${arch}`)
  if (!values.keep) rmSync(prebuilds, { recursive: true, force: true })
  for (const [name, addon] of Object.entries(addons)) {
    const built = target === undefined ? join(addon.directory, addon.built) : crossCompile(temporary, addon, target)
    if (!existsSync(built)) fail(`${built} is not there: run npm ci, then npm rebuild --foreground-scripts`)
    const file = join(prebuilds, nameOf(name, process.platform, arch))
    mkdirSync(dirname(file), { recursive: true })
    copyFileSync(built, file)
    strip(file, target === undefined ? "strip" : `${target}-strip`)
    console.log(`prebuild: ${file}`)
  }
  const names = readdirSync(prebuilds, { recursive: true }).filter((name) => name.endsWith(".node"))
  const lines = names.sort().map((name) => `${sha256(join(prebuilds, name))}  ${name}\n`)
  writeFileSync(join(prebuilds, "SHA256SUMS"), lines.join(""))
} finally {
  rmSync(temporary, { recursive: true })
}
