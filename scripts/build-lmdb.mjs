/**
 * Builds the package `lmdb` from its source, with the data format of stock LMDB 0.9 and with the patches of this
 * project (patches/). The prebuilt binary of that package is a fork with another file format, and cannot open the files
 * of other applications.
 *
 * npm runs this as postinstall of the package, both in a clone and in an installation as a dependency. It can be
 * repeated with `node scripts/build-lmdb.mjs`, which does nothing if the right build exists. If it was not run, the
 * daemon refuses to start and names this command. If the package contains a compiled addon for the platform
 * (scripts/lmdb/Prebuilt.mjs), that one is used. Otherwise a C++ compiler, make and Python 3 are needed. The script
 * prints one line; the output of the compiler is only printed if the build fails.
 *
 * With `--preinstall` nothing is compiled: the compiled addon is put in its place, or else the script checks that these
 * programs exist. npm runs this before the install script of `lmdb`, which would otherwise start a compilation.
 */
import { spawnSync } from "node:child_process"
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, sep } from "node:path"
import { howToInstall, missingTools } from "./lmdb/BuildTools.mjs"
import { prefixWithHeaders } from "./lmdb/NodeHeaders.mjs"
import { removeDamagedZstd, usePrebuilt } from "./lmdb/Prebuilt.mjs"

const require = createRequire(import.meta.url)
const root = dirname(import.meta.dirname)
const prebuilds = join(root, "prebuilds")
const isPreinstall = process.argv.includes("--preinstall")

/**
 * Returns the directory of an installed package, or undefined if it is not installed. The package is found by its
 * entry, because `exports` hides package.json.
 */
const directoryOf = (name) => {
  try {
    const entry = require.resolve(name)
    return entry.slice(0, entry.lastIndexOf(join("node_modules", name) + sep) + join("node_modules", name).length)
  } catch {
    return undefined
  }
}

/**
 * Returns the mark that the patches add to the end of LMDB's version text. src/layers/lmdb/native/BuildCheck.ts expects
 * the same mark.
 */
const markOf = (patches) => {
  const marks = patches.flatMap(({ text }) => /^\+#define MDB_VERSION_DATE\s+"[^"]*(; [^"]*)"/m.exec(text)?.[1] ?? [])
  if (marks.length !== 1) throw new Error("one patch must set MDB_VERSION_DATE, so that a build without is recognised")
  return `${marks[0]})`
}

/** True if the existing binary is the right one, so that a second installation takes no time. */
const isBuilt = (directory, mark) => {
  const check = `const { patch, versionString } = require("lmdb").version
    process.exit(patch < 90 && versionString.includes(process.argv[1]) ? 0 : 1)`
  return (
    existsSync(join(directory, "build", "Release")) &&
    spawnSync(process.execPath, ["-e", check, mark], { cwd: directory, stdio: "ignore" }).status === 0
  )
}

/** Runs a command, and returns its output in the original order. */
const runQuietly = (command, args, options) => {
  const directory = mkdtempSync(join(tmpdir(), "build-lmdb-"))
  try {
    const file = join(directory, "log")
    const log = openSync(file, "w")
    const { error, status } = spawnSync(command, args, { ...options, stdio: ["ignore", log, log] })
    closeSync(log)
    return { status, output: readFileSync(file, "utf8") + (error === undefined ? "" : `${error.message}\n`) }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const compile = (directory) => {
  const prefix = prefixWithHeaders(root)
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"]
  return runQuietly(npm[0], [...npm.slice(1), "rebuild", "lmdb", "--foreground-scripts"], {
    cwd: dirname(dirname(directory)),
    env: {
      ...(prefix !== undefined && { npm_config_nodedir: prefix }),
      ...process.env,
      // If npm is configured to run no install scripts, nothing was built, and whoever runs this script wants that one
      // to run.
      npm_config_ignore_scripts: "false",
      npm_config_dangerously_allow_all_scripts: "true",
      LMDB_DATA_V1: "true",
      ENABLE_V8_FUNCTIONS: "false",
      npm_config_build_from_source: "true",
      JOBS: "max"
    }
  })
}

/**
 * How to repeat a failed build. If the package is installed as a dependency, npm removes it after a failure, including
 * this script.
 */
const again =
  process.env.npm_lifecycle_event !== undefined && root.includes(`${sep}node_modules${sep}`)
    ? "run the same npm command again"
    : `run: node ${join(import.meta.dirname, "build-lmdb.mjs")}`

const fail = (problem, remedy) => {
  process.stderr.write(`lightningstream: the package lmdb cannot be built: ${problem}. ${remedy}${again}\n`)
  process.exit(1)
}

const requireTools = () => {
  const missing = missingTools(process.env)
  if (missing.length > 0) fail(`missing ${missing.join(", ")}`, `Install what is missing (${howToInstall}), then `)
}

/** Puts the compiled addon in its place. Returns undefined, or the reason why the package must be compiled. */
const reasonToCompile = (directory, mark) =>
  isBuilt(directory, mark) ? undefined : usePrebuilt(prebuilds, directory, () => isBuilt(directory, mark))

const build = async (directory) => {
  const { applyPatches, readPatches } = await import("./lmdb/PatchedSource.mjs")
  const patches = readPatches(join(root, "patches"))
  const mark = markOf(patches)
  const reason = reasonToCompile(directory, mark)
  if (reason === undefined) return
  requireTools()
  if (isPreinstall) return
  const { version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  try {
    applyPatches(directory, patches)
  } catch (error) {
    fail(error.message, "Install the version of lmdb that lightningstream names, then ")
  }
  console.log(
    `lightningstream: building lmdb ${version} from source (LMDB 0.9, patched), which takes about half a minute` +
      (existsSync(prebuilds) ? `. The compiled one is not used: ${reason}` : "")
  )
  const { output, status } = compile(directory)
  if (status === 0 && isBuilt(directory, mark)) return
  process.stderr.write(output)
  const what =
    status === 0
      ? "what was built is not LMDB 0.9 with the patches"
      : `npm rebuild ended with ${status}; its output is above`
  fail(
    what,
    `It needs a C++ compiler, make, Python 3 and the headers of Node (${howToInstall}). When the cause is gone, `
  )
}

const lmdb = directoryOf("lmdb")
if (lmdb !== undefined) {
  await build(lmdb)
} else if (isPreinstall) {
  // In a clone, npm runs this before anything is installed.
  requireTools()
} else {
  fail("it is not installed", "Run npm install, then ")
}
const damage = isPreinstall ? undefined : removeDamagedZstd(prebuilds)
if (damage !== undefined) console.log(`lightningstream: the compiled zstd is not used: ${damage}`)
