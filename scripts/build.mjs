/**
 * Bundles the command into dist/, unless the bundle is newer than all of its sources. Programs that start meanwhile
 * find either the old bundle or the new one, because the new one is built in another directory and then renamed. Does
 * nothing if the development tools are not installed, because a published package contains dist/.
 */
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

/** Returns the time of the last change of a file or directory. A removed file changes the time of its directory. */
const changedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

const newestSource = () => {
  const sources = readdirSync(join(root, "src"), { recursive: true }).map((name) => join("src", name))
  const inputs = [
    "src",
    ...sources,
    "package.json",
    "package-lock.json",
    "rolldown.config.ts",
    "scripts/build.mjs",
    "scripts/ThirdParty.ts"
  ]
  return Math.max(...inputs.map((name) => changedAt(join(root, name))))
}

const isCurrent = () => ["main.js", "worker.js"].every((name) => changedAt(join(dist, name)) > newestSource())

const replaceBy = (directory, old) => {
  try {
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(directory, dist)
  } catch (error) {
    // Another process may have built the same bundle in the meantime.
    if (!isCurrent()) throw error
  }
}

const build = async () => {
  const { build: bundle } = await import("rolldown")
  const { default: config } = await import("../rolldown.config.ts")
  process.chdir(root)
  const next = mkdtempSync(`${dist}-`)
  try {
    for (const each of config) {
      await bundle({ logLevel: "warn", ...each, output: { ...each.output, dir: join(next, "new") } })
    }
    replaceBy(join(next, "new"), join(next, "old"))
  } finally {
    rmSync(next, { recursive: true })
  }
}

if (existsSync(join(root, "node_modules", "rolldown")) && existsSync(join(root, "src", "main.ts")) && !isCurrent())
  await build()
