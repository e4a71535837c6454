/**
 * Applies the patches of this project to the sources of an installed package, without any program besides Node.
 *
 * The original of each patched file is kept next to it as `FILE.orig`, and patches are always applied to the original.
 * Applying them again, or applying others after an upgrade of this project, therefore gives the same result as applying
 * them once. All patches are tried before the first file is written.
 */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { applyPatch, parsePatch } from "diff"

/** Returns the path in the package: `a/src/file.c` in a patch is `src/file.c`. */
const nameOf = (path) => path.replace(/^[ab]\//, "")

/** Returns the texts of the files `*.patch` in a directory, by file name. */
export const readPatches = (directory) => {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith(".patch"))
    .toSorted()
  return names.map((name) => ({ name, text: readFileSync(join(directory, name), "utf8") }))
}

/** Returns the patched texts by file name. Throws if a patch does not apply. */
const patchedTexts = (packageDirectory, patches) => {
  const texts = new Map()
  for (const { name, text } of patches) {
    for (const patch of parsePatch(text)) {
      const file = nameOf(patch.newFileName)
      const path = join(packageDirectory, file)
      const before = texts.get(file) ?? readFileSync(existsSync(`${path}.orig`) ? `${path}.orig` : path, "utf8")
      const after = applyPatch(before, patch, { autoConvertLineEndings: false })
      if (after === false) throw new Error(`${name} does not fit ${path}: it is for another version of the package`)
      texts.set(file, after)
    }
  }
  return texts
}

/** Writes a file so that it is complete or absent, even after an interruption. */
const writeWhole = (path, text) => {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** Applies the patches to a package. Returns the number of changed files. */
export const applyPatches = (packageDirectory, patches) => {
  let changed = 0
  for (const [file, text] of patchedTexts(packageDirectory, patches)) {
    const path = join(packageDirectory, file)
    const present = readFileSync(path, "utf8")
    if (present === text) continue
    if (!existsSync(`${path}.orig`)) writeWhole(`${path}.orig`, present)
    writeWhole(path, text)
    changed++
  }
  return changed
}
