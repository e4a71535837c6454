/** The order of names is that of their bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { sortByName } from "../../../src/layers/storage/Listing.ts"

/**
 * Few characters, so that names share beginnings: ASCII, two and three bytes, either side of the surrogates, and beyond
 * them.
 */
const Name = Schema.Array(Schema.Literals(["a", "b", "é", "\ud7ff", "\ue000", "\uffee", "\u{10000}", "\u{1f600}"]))

describe("sortByName", () => {
  it.prop(
    "puts names in the order of their code points, which is that of their UTF-8 bytes",
    [Schema.Array(Name)],
    ([names]) => {
      const objects = names.map((characters, size) => ({ name: characters.join(""), size, etag: "" }))
      const sorted = sortByName(objects).map(({ name }) => Array.from(name, (character) => character.codePointAt(0)!))
      for (const [index, name] of sorted.slice(1).entries()) {
        const before = sorted[index]!
        const at = before.findIndex((point, position) => point !== name[position])
        if (at >= 0) assert.isBelow(before[at]!, name[at] ?? -1)
      }
      assert.sameMembers([...sortByName(objects)], objects)
    }
  )
})
