/** When a full snapshot is due. */
import { assert, describe, it } from "@effect/vitest"
import { DeltaChain } from "../../../../src/programs/sync/send/DeltaChain.ts"
import { isFullDue, limitsOfDelta } from "../../../../src/programs/sync/send/WhatToSend.ts"

const alone = DeltaChain.after({ timestampNano: 1n, size: 1_000, entries: 101, storedMillis: 5_000 })
const followed = alone.followedBy({ timestampNano: 2n, size: 300 })
const usual = { nowMillis: 6_000, intervalMillis: 60_000, areFullsAwaited: false }

describe("WhatToSend", () => {
  it("a full snapshot is not due when nothing was sent since the last one", () => {
    assert.isFalse(isFullDue(alone, { nowMillis: 1e9, intervalMillis: 1, areFullsAwaited: true }))
  })

  it("it is due after its interval, for those who wait for it, and when the deltas have half its size", () => {
    assert.isFalse(isFullDue(followed, usual))
    assert.isFalse(isFullDue(followed, { ...usual, nowMillis: 64_999 }))
    assert.isTrue(isFullDue(followed, { ...usual, nowMillis: 65_000 }))
    assert.isTrue(isFullDue(followed, { ...usual, areFullsAwaited: true }))
    assert.isFalse(isFullDue(followed.followedBy({ timestampNano: 3n, size: 200 }), usual))
    assert.isTrue(isFullDue(followed.followedBy({ timestampNano: 3n, size: 201 }), usual))
  })

  it("a delta has at most half the entries and half the bytes", () => {
    assert.deepStrictEqual(limitsOfDelta(alone), { entriesMax: 50, sizeMax: 500 })
  })
})
