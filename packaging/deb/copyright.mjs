/**
 * Prints the file `copyright` of the Debian package: the licence of the program, of Node, and of each package that is
 * installed with it.
 *
 *     copyright.mjs LICENSE NODE_LICENSE NODE_MODULES
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const [licence, node, modules] = process.argv.slice(2)

/** As the format wants the text of a licence: indented, a dot for an empty line. */
const indented = (text) =>
  text
    .trim()
    .split(/\r?\n/)
    .map((line) => (line.trim() === "" ? " ." : ` ${line}`))
    .join("\n")

const packages = (directory) =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.name.startsWith("@")) return packages(path)
    if (!existsSync(join(path, "package.json"))) return []
    const nested = existsSync(join(path, "node_modules")) ? packages(join(path, "node_modules")) : []
    return [path, ...nested]
  })

const textIn = (directory) => {
  const file = existsSync(directory) && readdirSync(directory).find((name) => /^licen[cs]e/i.test(name))
  return file ? readFileSync(join(directory, file), "utf8") : undefined
}

const paragraph = (files, name, text) =>
  `Files: ${files}\nCopyright: see the licence below\nLicense: ${name}\n${indented(text)}\n`

const apache = "On Debian systems its text is in /usr/share/common-licenses/Apache-2.0."
const own = "usr/lib/lightningstream/node_modules/lightningstream"
const notices = "The bundle has many packages in it. Their licences are in THIRD-PARTY.txt beside it."

console.log(
  [
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n",
    paragraph("*", "MIT", readFileSync(licence, "utf8")),
    paragraph("usr/lib/lightningstream/node", "Node", readFileSync(node, "utf8")),
    paragraph(`${own}/dist/*`, "Third-party", notices),
    ...packages(modules)
      .filter((path) => path !== join(modules, "lightningstream"))
      .map((path) => {
        const { license, name } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"))
        const text = license === "Apache-2.0" ? apache : (textIn(path) ?? `See ${license}.`)
        return paragraph(`usr/lib/lightningstream/node_modules/${name}/*`, license, text)
      })
  ].join("\n")
)
