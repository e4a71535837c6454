/**
 * Applies the patches of this project to the sources of an installed package, without any program besides Node.
 *
 * The original of each patched file is kept beside it as `FILE.orig`, and patches always start from there: applying
 * them twice, or other ones after an upgrade of this project, gives the same as applying them once. All patches are
 * tried before the first file is written.
 */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { applyPatch, parsePatch } from "diff"

/** `a/src/file.c` in patches is `src/file.c` of the package. */
const nameOf = (path) => path.replace(/^[ab]\//, "")

/** Texts of `*.patch` in the directory, by their names. */
export const readPatches = (directory) => {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith(".patch"))
    .toSorted()
  return names.map((name) => ({ name, text: readFileSync(join(directory, name), "utf8") }))
}

/** The patched texts by file name. Throws when a patch does not fit. */
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

/** A file is there as a whole or not at all, whenever this is interrupted. */
const writeWhole = (path, text) => {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** Returns how many files were changed. */
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
