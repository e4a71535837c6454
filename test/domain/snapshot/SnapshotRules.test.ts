import { assert, describe, it } from "@effect/vitest"
import * as DbiFlags from "../../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as EntryBatch from "../../../src/domain/snapshot/EntryBatch.ts"
import { KeyLayout } from "../../../src/domain/lmdb/KeyLayout.ts"
import {
  type DbiHead,
  nativeDbiRefusal,
  shadowDbiRefusal,
  SnapshotRefused,
  versionRefusal
} from "../../../src/domain/snapshot/SnapshotRules.ts"

const dbi = (flags: number, transform = "", name = "x"): DbiHead => ({
  name: DbiName.fromText(name),
  flags: BigInt(flags),
  transform
})
const dupsort = "dupsort_hack_v1"
const plainSettings = { exists: false, overrideCreateFlags: undefined, dupsortHack: false }
const allSettings = { exists: true, overrideCreateFlags: 0, dupsortHack: true }

/** One batch per group of keys (latin1). */
const checkKeys = (head: DbiHead, ...groups: ReadonlyArray<ReadonlyArray<string>>): void => {
  const layout = new KeyLayout(head)
  for (const keys of groups) {
    const batch = EntryBatch.make(8)
    batch.bytes = Buffer.from(`#${keys.join("")}`, "latin1")
    let at = 1
    for (const [i, key] of keys.entries()) {
      batch.keyStart[i] = at
      batch.keyEnd[i] = at += key.length
      batch.flags[i] = 1
    }
    batch.count = keys.length
    layout.checkBatch(batch)
  }
}

describe("versions", () => {
  it("format 1 and later are read, 0 is not; compatVersion decides about newer ones", () => {
    for (const [format, compat] of [
      [1, 0],
      [2, 0],
      [3, 1],
      [3, 3],
      [4, 0],
      [4_294_967_295, 3]
    ] as const) {
      assert.strictEqual(versionRefusal(format, compat), undefined)
    }
    for (const [format, compat] of [
      [0, 0],
      [0, 3],
      [1, 4],
      [3, 4],
      [4, 4_294_967_295]
    ] as const) {
      assert.isString(versionRefusal(format, compat))
    }
  })
})

describe("Names of DBIs", () => {
  it("have up to 511 bytes in native mode, and up to 498 in shadow mode, where a shadow must have one, too", () => {
    for (const length of [1, 498]) {
      assert.isUndefined(nativeDbiRefusal(dbi(0, "", "n".repeat(length))))
      assert.isUndefined(shadowDbiRefusal(dbi(0, "", "n".repeat(length)), 3, allSettings))
    }
    for (const length of [499, 511]) {
      assert.isUndefined(nativeDbiRefusal(dbi(0, "", "n".repeat(length))))
      assert.match(
        shadowDbiRefusal(dbi(0, "", "n".repeat(length)), 3, allSettings)!,
        new RegExp(`its name has ${length} bytes, and shadow mode allows 498: .* 13 more, and LMDB allows 511`)
      )
    }
  })
})

describe("DBIs in native mode", () => {
  it("must be plain and have a name", () => {
    assert.strictEqual(nativeDbiRefusal(dbi(0)), undefined)
    for (const flags of [2, 4, 8, 0x10, 0x80])
      assert.match(nativeDbiRefusal(dbi(flags))!, /native mode does not support/)
    assert.isString(nativeDbiRefusal({ ...dbi(0), flags: 1n << 63n }))
    assert.match(nativeDbiRefusal(dbi(0, "rot13"))!, /"rot13"/)
    assert.match(nativeDbiRefusal(dbi(0, "", ""))!, /no name/)
    assert.match(nativeDbiRefusal(dbi(0, "", "n".repeat(512)))!, /512 bytes/)
  })

  it("our own are never merged, so never refused", () => {
    assert.strictEqual(nativeDbiRefusal(dbi(0xff, "x", "_sync_shadow_a")), undefined)
    assert.strictEqual(shadowDbiRefusal(dbi(0xff, "x", "_sync"), 3, plainSettings), undefined)
  })
})

describe("DBIs in shadow mode", () => {
  it("the transform goes with MDB_DUPSORT, and needs dupsort_hack", () => {
    assert.strictEqual(shadowDbiRefusal(dbi(0), 3, plainSettings), undefined)
    assert.strictEqual(shadowDbiRefusal(dbi(DbiFlags.INTEGERKEY), 3, plainSettings), undefined)
    assert.strictEqual(shadowDbiRefusal(dbi(DbiFlags.DUPSORT, dupsort), 3, allSettings), undefined)
    assert.match(shadowDbiRefusal(dbi(DbiFlags.DUPSORT, dupsort), 3, plainSettings)!, /set dupsort_hack: true/)
    assert.match(shadowDbiRefusal(dbi(DbiFlags.DUPSORT), 3, allSettings)!, /without the transform/)
    assert.match(shadowDbiRefusal(dbi(0, dupsort), 3, allSettings)!, /without MDB_DUPSORT/)
    assert.match(shadowDbiRefusal(dbi(DbiFlags.DUPSORT, "dupsort_hack_v2"), 3, allSettings)!, /unknown transform/)
  })

  it("reversed keys, unknown flags and no name are refused", () => {
    assert.match(shadowDbiRefusal(dbi(DbiFlags.REVERSEKEY), 3, allSettings)!, /MDB_REVERSEKEY/)
    assert.match(shadowDbiRefusal(dbi(0x80), 3, allSettings)!, /unknown flags 0x80/)
    assert.isString(shadowDbiRefusal(dbi(0, "", ""), 3, allSettings))
  })

  it("before format 3 the flags must come from elsewhere", () => {
    for (const format of [1, 2]) {
      assert.match(shadowDbiRefusal(dbi(0), format, plainSettings)!, /override_create_flags/)
      assert.strictEqual(shadowDbiRefusal(dbi(0), format, { ...plainSettings, exists: true }), undefined)
      assert.strictEqual(shadowDbiRefusal(dbi(0), format, { ...plainSettings, overrideCreateFlags: 0 }), undefined)
      assert.isString(shadowDbiRefusal(dbi(0, dupsort), format, allSettings))
    }
  })
})

describe("KeyLayout", () => {
  it("plain keys are anything", () => {
    checkKeys(dbi(0), ["a", "abc"], ["\0".repeat(511)])
  })

  it("integer keys have 4 bytes or 8, all the same, over all batches", () => {
    checkKeys(dbi(DbiFlags.INTEGERKEY), ["\0\0\0\0", "\x01\0\0\0"], ["\x02\0\0\0"])
    checkKeys(dbi(DbiFlags.INTEGERKEY), ["\0".repeat(8)])
    assert.throws(() => checkKeys(dbi(DbiFlags.INTEGERKEY), ["abc"]), /key 0x616263 has 3 bytes/)
    assert.throws(() => checkKeys(dbi(DbiFlags.INTEGERKEY), ["abcd"], ["abcdefgh"]), SnapshotRefused)
  })

  /** As tombstones, which have no value that a key could be held against. */
  it("dupsort keys hold the key, a separator, part of the value, and the key's length", () => {
    checkKeys(
      dbi(DbiFlags.DUPSORT, dupsort),
      ["k\0\0\0\0value\x01", "key\0\0\0\0\x03"],
      [`${"k".repeat(255)}\0\0\0\0v\xff`]
    )
    for (const key of [
      "\x01",
      "k\0\0\0\x01",
      "k\0\0\0\0v\x02",
      "k\0\0\x01\0v\x01",
      "\0\0\0\0v\0",
      "k\0\0\0\0v\xff",
      "k\0\0\0\x01v\x01"
    ]) {
      assert.throws(
        () => checkKeys(dbi(DbiFlags.DUPSORT, dupsort), [key]),
        /layout of dupsort_hack_v1/,
        JSON.stringify(key)
      )
    }
  })
})
