import { assert, describe, it } from "@effect/vitest"
import { readable, rfc3339 } from "../../../src/domain/snapshot/ReadableBytes.ts"

const now = 1_700_000_000_000_000_000n
const day = 86_400_000_000_000n

const nanos = (time: bigint, rest = ""): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(time)
  return Buffer.concat([bytes, Buffer.from(rest)])
}

describe("BytesText", () => {
  it("printable ASCII of more than 8 bytes is shown alone, all else with its bytes", () => {
    assert.strictEqual(readable(Buffer.from("123456789 ~"), now), "123456789 ~")
    assert.strictEqual(readable(Buffer.from("123456789"), now), "123456789")
    assert.strictEqual(readable(Buffer.from("12345678"), now), "12345678 [31 32 33 34 35 36 37 38]")
    assert.strictEqual(readable(Buffer.from("é23456789"), now), "..23456789 [c3 a9 32 33 34 35 36 37 38 39]")
    assert.strictEqual(readable(Buffer.from("\n2345678\x7f"), now), ".2345678. [0a 32 33 34 35 36 37 38 7f]")
    assert.strictEqual(readable(Buffer.alloc(0), now), " []")
  })

  it("8 bytes at the start that are a time from 2022 to 30 days ahead are shown as one", () => {
    const from = 1_640_995_200_000_000_000n
    assert.match(readable(nanos(from), now), / \(2022-01-01T00:00:00\.000000000Z\)$/)
    assert.match(readable(nanos(now + 30n * day, "text"), now), / \(2023-12-14T22:13:20\.000000000Z\)$/)
    for (const time of [from - 1n, now + 30n * day + 1n, 0n, 2n ** 64n - 1n])
      assert.match(readable(nanos(time), now), /\]$/)
  })

  it("times are RFC 3339 with nanoseconds, in UTC", () => {
    assert.strictEqual(rfc3339(0n), "1970-01-01T00:00:00.000000000Z")
    assert.strictEqual(rfc3339(1_700_000_000_000_000_001n), "2023-11-14T22:13:20.000000001Z")
  })
})
