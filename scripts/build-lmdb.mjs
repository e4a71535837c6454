/**
 * Builds the package `lmdb` from its source with the v1 data format, which is that of stock LMDB and so of the
 * applications. The prebuilt binary of that package is a fork with another file format: it cannot open their files.
 *
 * Runs as postinstall of this package, in a clone and as somebody's dependency alike; `node scripts/build-lmdb.mjs`
 * does it again. Where it did not run, the daemon refuses to start and names this command. Needs a C++ compiler, make
 * and Python 3.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, sep } from "node:path"

const require = createRequire(import.meta.url)

/** The folder of an installed package, found by its entry: `exports` hides package.json. */
const folderOf = (name) => {
  const entry = require.resolve(name)
  return entry.slice(0, entry.lastIndexOf(join("node_modules", name) + sep) + join("node_modules", name).length)
}

/** True when the binary that is there already is the right one, so that a second install takes no time. */
const isBuilt = (folder) => {
  const check = "const l=require('lmdb');process.exit(l.version.patch<90?0:1)"
  return (
    existsSync(join(folder, "build", "Release")) &&
    spawnSync(process.execPath, ["-e", check], { cwd: folder, stdio: "ignore" }).status === 0
  )
}

/** Headers of the Node that the development install brings: then none need to be downloaded. */
const bundledHeaders = () => {
  const folder = join(
    import.meta.dirname,
    "..",
    "node_modules",
    "node",
    "node_modules",
    `node-${process.platform}-${process.arch}`
  )
  return existsSync(join(folder, "include", "node", "node_api.h")) ? { npm_config_nodedir: folder } : {}
}

const folder = folderOf("lmdb")
if (!isBuilt(folder)) {
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  console.log(`building lmdb ${version} with the v1 data format (LMDB 0.9) …`)
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"]
  const { status } = spawnSync(npm[0], [...npm.slice(1), "rebuild", "lmdb", "--foreground-scripts"], {
    cwd: dirname(dirname(folder)),
    stdio: "inherit",
    env: {
      ...process.env,
      ...bundledHeaders(),
      // Where npm may not run install scripts nothing was built, and whoever runs this wants this one to run.
      npm_config_ignore_scripts: "false",
      npm_config_dangerously_allow_all_scripts: "true",
      LMDB_DATA_V1: "true",
      ENABLE_V8_FUNCTIONS: "false",
      npm_config_build_from_source: "true",
      JOBS: "max"
    }
  })
  if (status !== 0 || !isBuilt(folder)) {
    console.error(
      "lmdb was not built: a C++ compiler, make and Python 3 are needed (Debian: apt-get install g++ make python3).\n" +
        "Then run: node " +
        join(import.meta.dirname, "build-lmdb.mjs")
    )
    process.exit(1)
  }
}
