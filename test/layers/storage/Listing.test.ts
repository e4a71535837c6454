/** The order of names is that of their bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compareNames } from "../../../src/layers/storage/Listing.ts"

/**
 * Few characters, so that names share beginnings: ASCII, two and three bytes, either side of the surrogates, and beyond
 * them.
 */
const Name = Schema.Array(Schema.Literals(["a", "b", "é", "\ud7ff", "\ue000", "\uffee", "\u{10000}", "\u{1f600}"]))

describe("StorageListing", () => {
  it.prop("names compare as their UTF-8 bytes", [Name, Name], ([first, second]) => {
    const [a, b] = [first.join(""), second.join("")]
    assert.strictEqual(Math.sign(compareNames(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
  })
})
