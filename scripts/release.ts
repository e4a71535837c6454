/**
 * Moves the unreleased changes of CHANGELOG.md to a section with the version of package.json and the current date. npm
 * runs this for `npm version`, which commits the file together with the new version.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const heading = "## [Unreleased]\n"

/** Returns the changelog of the release. Throws if there are no unreleased changes. */
export const released = (changelog: string, version: string, date: string): string => {
  const [before, after] = changelog.split(heading)
  if (before === undefined || after === undefined)
    throw new Error(`CHANGELOG.md has not one heading "${heading.trim()}"`)
  const changes = after.split(/^## /m)[0]!
  if (!/^- /m.test(changes)) throw new Error("CHANGELOG.md has no unreleased changes")
  if (changelog.includes(`## [${version}]`)) throw new Error(`CHANGELOG.md has version ${version} already`)
  return `${before}${heading}\n## [${version}] - ${date}\n${after}`
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..")
  const file = join(root, "CHANGELOG.md")
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  writeFileSync(file, released(readFileSync(file, "utf8"), version, new Date().toISOString().slice(0, 10)))
}
