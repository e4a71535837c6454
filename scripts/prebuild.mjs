/**
 * Fills `prebuilds/` with the compiled binding of the package `lmdb` and its checksum, for the package that is packed:
 * npm runs it before `npm pack` and `npm publish`. That for this machine's platform is a copy of the one that the
 * install has compiled. `--arch arm64` compiles that of Linux on ARM with a cross compiler (Debian:
 * g++-aarch64-linux-gnu), `--keep` leaves what is there for other platforms.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { prefixWithHeaders } from "./lmdb/NodeHeaders.mjs"
import { nameOf, sha256 } from "./lmdb/Prebuilt.mjs"

const root = dirname(import.meta.dirname)
const prebuilds = join(root, "prebuilds")
const lmdb = dirname(createRequire(import.meta.url).resolve("lmdb")).replace(/\/dist$/, "")
const { values } = parseArgs({ options: { arch: { type: "string" }, keep: { type: "boolean", default: false } } })
const arch = values.arch ?? process.arch

const fail = (problem) => {
  process.stderr.write(`prebuild: ${problem}\n`)
  process.exit(1)
}

/** The symbols of the debugger are half of the file. */
const strip = (file, program) => {
  const { error, status } = spawnSync(program, ["--strip-unneeded", file], { stdio: "inherit" })
  if (status !== 0) fail(`${program} failed: ${error?.message ?? `it ended with ${status}`}`)
}

/** Compiles the patched source with another compiler, in a copy of the package. Returns the file. */
const crossCompile = (directory, target) => {
  cpSync(lmdb, join(directory, "lmdb"), { recursive: true, filter: (path) => !path.startsWith(join(lmdb, "build")) })
  const { error, status } = spawnSync(
    "npm",
    ["exec", "--yes", "--", "node-gyp@12", "rebuild", `--arch=${arch}`, `--nodedir=${prefixWithHeaders(root)}`],
    {
      cwd: join(directory, "lmdb"),
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
  return join(directory, "lmdb", "build", "Release", "lmdb.node")
}

const temporary = mkdtempSync(join(tmpdir(), "prebuild-"))
try {
  const target = arch === process.arch ? undefined : { arm64: "aarch64-linux-gnu", x64: "x86_64-linux-gnu" }[arch]
  if (arch !== process.arch && (target === undefined || process.platform !== "linux"))
    fail(`cannot compile for ${arch}`)
  const built = target === undefined ? join(lmdb, "build", "Release", "lmdb.node") : crossCompile(temporary, target)
  if (!values.keep) rmSync(prebuilds, { recursive: true, force: true })
  const file = join(prebuilds, nameOf(process.platform, arch))
  mkdirSync(dirname(file), { recursive: true })
  copyFileSync(built, file)
  strip(file, target === undefined ? "strip" : `${target}-strip`)
  const names = readdirSync(prebuilds, { recursive: true }).filter((name) => name.endsWith(".node"))
  const lines = names.sort().map((name) => `${sha256(join(prebuilds, name))}  ${name}\n`)
  writeFileSync(join(prebuilds, "SHA256SUMS"), lines.join(""))
  console.log(`prebuild: ${file}`)
} finally {
  rmSync(temporary, { recursive: true })
}
