import { assert, describe, it } from "@effect/vitest"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"

describe("DbiName", () => {
  it("is shown as text, and as bytes where that is no text or could pass for something else", () => {
    assert.strictEqual(DbiName.display(DbiName.fromText("records ü")), "records ü")
    assert.strictEqual(DbiName.display(DbiName.fromBytes(Uint8Array.of(0x61, 0xff))), "0x61ff")
    assert.strictEqual(DbiName.display(DbiName.fromText("a\nb has all of c")), "0x610a622068617320616c6c206f662063")
    assert.strictEqual(DbiName.display(DbiName.fromText("\u009b2J")), "0xc29b324a")
  })
})
