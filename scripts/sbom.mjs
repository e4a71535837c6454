/**
 * Writes dist/sbom.cdx.json, the software bill of materials of the package in CycloneDX format: the bundled packages
 * and those that are installed with it. npm lists the packages of the lock file; those that are only used to build and
 * test are removed.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

const sbom = (...args) => {
  const line = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only", ...args]
  const { error, status, stderr, stdout } = spawnSync("npm", line, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 })
  if (status !== 0) throw new Error(`npm sbom failed: ${error?.message ?? stderr}`)
  return JSON.parse(stdout)
}

const nameOf = ({ group, name, version }) => `${group === undefined ? name : `${group}/${name}`} ${version}`

/** Names and versions of the bundled packages, as written by scripts/ThirdParty.ts. */
const bundled = new Set(
  Array.from(readFileSync(join(dist, "THIRD-PARTY.txt"), "utf8").matchAll(/^-{78}\n(\S+ \S+), /gm), ([, name]) => name)
)
const installed = new Set(sbom("--omit=dev").components.map(nameOf))

const { dependencies, ...all } = sbom()
const components = all.components.filter((component) => {
  const name = nameOf(component)
  return bundled.has(name) || installed.has(name)
})
const missing = [...bundled].filter((name) => !components.some((component) => nameOf(component) === name))
if (missing.length > 0) throw new Error(`the lock file does not have what is bundled: ${missing.join(", ")}`)
const references = new Set([all.metadata.component, ...components].map((component) => component["bom-ref"]))
const kept = dependencies
  .filter(({ ref }) => references.has(ref))
  .map(({ dependsOn = [], ref }) => ({ ref, dependsOn: dependsOn.filter((other) => references.has(other)) }))
// A bundled package is not a development dependency, even if package.json lists it as one.
const properties = ({ properties: list = [], ...component }) => ({
  ...component,
  scope: "required",
  properties: list.filter(({ name }) => name !== "cdx:npm:package:development" && name !== "cdx:npm:package:path")
})
// npm uses the name of the directory.
const { name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const metadata = { ...all.metadata, component: { ...all.metadata.component, name, type: "application" } }
const document = { ...all, metadata, components: components.map(properties), dependencies: kept }
writeFileSync(join(dist, "sbom.cdx.json"), `${JSON.stringify(document, null, 2)}\n`)
