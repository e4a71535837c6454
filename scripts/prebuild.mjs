/**
 * Fills `prebuilds/` with the compiled addons of the packages `lmdb` and `zstd-napi` and their checksums, as parts of
 * the published package: npm runs this before `npm pack` and `npm publish`.
 *
 * The addons for the platform of this machine are copies of what the installation has compiled. Those for Linux on the
 * other processor are compiled by a cross compiler, and kept until their sources change. Without the cross compiler,
 * the package lacks them, and the script says so in one sentence. A release contains all of them: with `--release`, the
 * script then fails.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { parseArgs } from "node:util"
import { prefixWithHeaders } from "./lmdb/NodeHeaders.mjs"
import { nameOf, sha256 } from "./lmdb/Prebuilt.mjs"

const root = dirname(import.meta.dirname)
const prebuilds = join(root, "prebuilds")
const cache = join(root, "node_modules", ".cache", "lightningstream")
const { values } = parseArgs({ options: { release: { type: "boolean", default: false } } })

/** The addons by name, each with its package and the file that the package's build creates. */
const addons = {
  lmdb: { directory: join(root, "node_modules", "lmdb"), built: "build/Release/lmdb.node" },
  zstd: { directory: join(root, "node_modules", "zstd-napi"), built: "build/Release/binding.node" }
}

/** The processors of a release, on Linux, each with the prefix of its cross compiler and Debian's package of that. */
const processors = {
  x64: { prefix: "x86_64-linux-gnu-", debianPackage: "g++-x86-64-linux-gnu" },
  arm64: { prefix: "aarch64-linux-gnu-", debianPackage: "g++-aarch64-linux-gnu" }
}

const fail = (problem) => {
  process.stderr.write(`prebuild: ${problem}\n`)
  process.exit(1)
}

/** Runs a program, and returns its output, which is printed only if the program fails. */
const run = (program, args, options = {}) => {
  const { error, status, stderr, stdout } = spawnSync(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    ...options
  })
  if (status !== 0)
    fail(`${stdout ?? ""}${stderr ?? ""}${program} failed: ${error?.message ?? `it ended with ${status}`}`)
  return stdout
}

/** Returns the version of the cross compiler, or undefined if it is not installed. */
const crossCompiler = (prefix) => {
  const { status, stdout } = spawnSync(`${prefix}g++`, ["--version"], { encoding: "utf8" })
  return process.platform === "linux" && status === 0 ? stdout : undefined
}

/** Returns the SHA-256 of everything that an addon is made of, as the name of its file in the cache. */
const keyOf = (directory, compiler) => {
  const hash = createHash("sha256").update(compiler)
  const headers = prefixWithHeaders(root)
  const version = headers === undefined ? [] : [join(headers, "include", "node", "node_version.h")]
  const sources = readdirSync(directory, { recursive: true })
    .filter((name) => !name.startsWith("build/"))
    .toSorted()
    .map((name) => join(directory, name))
  // The lock file names the version of each package, such as that of the headers of Node-API.
  const files = [import.meta.filename, join(root, "package-lock.json"), ...version, ...sources]
  for (const file of files.filter((file) => statSync(file).isFile()))
    hash.update(relative(root, file)).update(readFileSync(file))
  return hash.digest("hex")
}

/** Compiles the patched source in a copy of the package. */
const crossCompile = (temporary, { built, directory }, arch, file) => {
  const copy = mkdtempSync(join(temporary, "addon-"))
  cpSync(directory, copy, { recursive: true, filter: (path) => path !== join(directory, "build") })
  const { prefix } = processors[arch]
  const args = ["exec", "--yes", "--", "node-gyp@12", "rebuild", `--arch=${arch}`]
  run("npm", [...args, `--nodedir=${prefixWithHeaders(root)}`], {
    cwd: copy,
    env: {
      ...process.env,
      NODE_PATH: join(root, "node_modules"),
      CC: `${prefix}gcc`,
      CXX: `${prefix}g++`,
      AR: `${prefix}ar`,
      LMDB_DATA_V1: "true",
      ENABLE_V8_FUNCTIONS: "false",
      JOBS: "max"
    }
  })
  mkdirSync(cache, { recursive: true })
  copyFileSync(join(copy, built), `${file}.new`)
  renameSync(`${file}.new`, file)
}

/** Returns the file of an addon for another processor, which is compiled if it was not before. */
const crossCompiled = (temporary, name, arch, compiler) => {
  const file = join(cache, `${arch}-${name}-${keyOf(addons[name].directory, compiler)}.node`)
  if (existsSync(file)) return file
  console.log(`prebuild: compiling ${name} for linux-${arch}, which takes about half a minute`)
  crossCompile(temporary, addons[name], arch, file)
  return file
}

/** Copies the addons into a directory. Returns the platforms for which there are none, and how to change that. */
const collect = (temporary, directory) => {
  const own = `${process.platform}-${process.arch}`
  const missing = []
  const add = (file, name, platform, arch, strip) => {
    if (!existsSync(file)) fail(`${file} is not there: run npm ci, then npm rebuild --foreground-scripts`)
    const copy = join(directory, nameOf(name, platform, arch))
    mkdirSync(dirname(copy), { recursive: true })
    copyFileSync(file, copy)
    // The debug symbols are half of the file.
    run(strip, ["--strip-unneeded", copy])
  }
  for (const [name, addon] of Object.entries(addons))
    add(join(addon.directory, addon.built), name, process.platform, process.arch, "strip")
  for (const [arch, { debianPackage, prefix }] of Object.entries(processors)) {
    if (own === `linux-${arch}`) continue
    const compiler = crossCompiler(prefix)
    if (compiler === undefined) missing.push(`linux-${arch}: install the Debian package ${debianPackage}`)
    else
      for (const name of Object.keys(addons))
        add(crossCompiled(temporary, name, arch, compiler), name, "linux", arch, `${prefix}strip`)
  }
  return missing
}

/** Returns the checksums of the addons in a directory, in the format of sha256sum(1). */
const sumsOf = (directory) =>
  readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith(".node"))
    .toSorted()
    .map((name) => `${sha256(join(directory, name))}  ${name}\n`)
    .join("")

const temporary = mkdtempSync(join(tmpdir(), "prebuild-"))
process.on("exit", () => rmSync(temporary, { recursive: true }))
const collected = join(temporary, "prebuilds")
const missing = collect(temporary, collected)
if (values.release && missing.length > 0) fail(`a release needs the addons for ${missing.join(", and for ")}`)
writeFileSync(join(collected, "SHA256SUMS"), sumsOf(collected))
rmSync(prebuilds, { recursive: true, force: true })
cpSync(collected, prebuilds, { recursive: true })
process.stdout.write(readFileSync(join(prebuilds, "SHA256SUMS"), "utf8").replaceAll(/^\S+ {2}/gm, "prebuild: "))
for (const platform of missing) console.log(`prebuild: this package has no addons for ${platform}, and pack it again`)
