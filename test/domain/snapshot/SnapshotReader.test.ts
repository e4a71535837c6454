import { assert, describe, it } from "@effect/vitest"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { Event, SnapshotReader } from "../../../src/domain/snapshot/SnapshotReader.ts"
import { SnapshotCorrupt } from "../../../src/domain/snapshot/SnapshotCorrupt.ts"
import { dbiHead, EntryEncoder } from "../../../src/domain/snapshot/SnapshotWriter.ts"
import { cut, decode, decodeChunks, entryOf } from "../../support/fixtures/DecodedSnapshot.ts"

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))

const problemOf = (message: Uint8Array, ...sizes: ReadonlyArray<number>): string => {
  try {
    decode(message, ...sizes)
  } catch (error) {
    if (error instanceof SnapshotCorrupt) return error.message
    throw error
  }
  throw new Error("not corrupt")
}

/** An entry that is announced in the first bytes, and does not come. */
const announced = (length: bigint) => hex(`1a${varint(length + 20n)} 12${varint(length)}`)

/** A varint of `bytes` bytes, longer than needed. */
const padded = (value: number, bytes: number): string =>
  Buffer.from(
    Array.from({ length: bytes }, (_, i) => ((value / 128 ** i) & 0x7f) | (i < bytes - 1 ? 0x80 : 0))
  ).toString("hex")

const varint = (value: bigint): string => {
  let text = ""
  for (let rest = value; ; rest >>= 7n) {
    const byte = Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0)
    text += byte.toString(16).padStart(2, "0")
    if (rest <= 0x7fn) return text
  }
}

/** `count` entries with keys of 4 bytes. */
const entries = (count: number, value = Buffer.alloc(0)): Uint8Array => {
  const encoder = new EntryEncoder()
  const key = Buffer.alloc(4)
  for (let i = 0; i < count; i++) {
    key.writeUInt32BE(i)
    encoder.add(key, 0, 4, value, 0, value.length, 0, i, 0)
  }
  return encoder.bytes.slice(0, encoder.length)
}

describe("An entry that is larger than the reader is told to take", () => {
  it("is refused when its length is known, before any of it has come", () => {
    for (const length of [1_001n, 3n * 2n ** 30n]) {
      const reader = new SnapshotReader(1_000)
      reader.push(announced(length))
      assert.throws(
        () => {
          while (reader.next() !== Event.NeedChunk);
        },
        new RegExp(`an entry of ${length} bytes, and the LMDB's map has 1000 in all: raise the map size and restart`)
      )
    }
    const reader = new SnapshotReader(1_000)
    reader.push(announced(1_000n))
    while (reader.next() !== Event.NeedChunk);
  })
})

describe("SnapshotReader", () => {
  it("tells a DBI's start, its batches and its end; what is known of it, as soon as it is", () => {
    const reader = new SnapshotReader()
    assert.strictEqual(reader.next(), Event.NeedChunk)
    // The name in front, flags behind the entry.
    reader.push(hex("0803 1a 0a 0a0178 12030a016b 1808"))
    assert.strictEqual(reader.next(), Event.DbiStart)
    assert.strictEqual(reader.formatVersion, 3)
    assert.strictEqual(reader.next(), Event.Batch)
    assert.strictEqual(reader.batch.count, 1)
    assert.deepStrictEqual(reader.dbi, { name: DbiName.fromText("x"), flags: 8n, transform: "", index: 0 })
    assert.strictEqual(reader.next(), Event.DbiEnd)
    assert.strictEqual(reader.next(), Event.NeedChunk)
    assert.strictEqual(reader.offset, 14)
    reader.finish()
    assert.strictEqual(reader.next(), Event.End)
    assert.strictEqual(reader.next(), Event.End)
  })

  it("shows entries in the chunk itself, thousands at once, and copies only one that lies across", () => {
    const body = entries(10_000)
    const message = Buffer.concat([dbiHead(DbiName.fromText("x"), 0, "", body.length), body])
    const chunks = cut(message, [100_001])
    const reader = new SnapshotReader()
    const batches: Array<readonly [inChunk: boolean, count: number]> = []
    let chunk = new Uint8Array(0)
    let next = 0
    let last = -1
    for (let event = reader.next(); event !== Event.End; event = reader.next()) {
      if (event === Event.NeedChunk) {
        chunk = new Uint8Array(chunks[next++] ?? [])
        if (chunk.length === 0) reader.finish()
        else reader.push(chunk)
      }
      if (event !== Event.Batch) continue
      batches.push([reader.batch.bytes === chunk, reader.batch.count])
      for (let i = 0; i < reader.batch.count; i++)
        assert.strictEqual(entryOf(reader.batch, i).timestampNano, BigInt(++last))
    }
    assert.strictEqual(last, 9_999)
    assert.deepStrictEqual(
      batches.filter(([inChunk]) => !inChunk),
      [[false, 1]]
    )
    assert.strictEqual(Math.max(...batches.map(([, count]) => count)), 4_096)
  })

  it("a chunk must be read to its end before the next one", () => {
    const reader = new SnapshotReader()
    reader.push(hex("0803"))
    assert.throws(() => reader.push(hex("0803")), /not read to its end/)
  })

  it("empty chunks are no end", () => {
    assert.strictEqual(decodeChunks([hex(""), hex("08"), hex(""), hex("03")]).formatVersion, 3)
  })

  it("once corrupt, it stays so", () => {
    const reader = new SnapshotReader()
    reader.push(hex("00"))
    assert.throws(() => reader.next(), /field number 0, near byte 1/)
    assert.throws(() => reader.next(), /field number 0, near byte 1/)
  })

  it("takes DBIs, unknown fields and positions beyond 4 GiB, and holds nothing of what it skips", () => {
    const skipped = 5 * 2 ** 30
    const before = hex("12030a0161")
    const after = hex("12030a0162 0a0178")
    const unknown = hex(`7a${varint(BigInt(skipped))}`)
    const length = before.length + unknown.length + skipped + after.length
    const reader = new SnapshotReader()
    const events: Array<number> = []
    const run = (chunk: Uint8Array) => {
      reader.push(chunk)
      for (let event = reader.next(); event !== Event.NeedChunk; event = reader.next()) events.push(event)
    }
    run(Buffer.concat([hex(`1a${varint(BigInt(length))}`), before, unknown]))
    const zeros = new Uint8Array(2 ** 26)
    for (let i = 0; i < skipped / zeros.length; i++) run(zeros)
    run(after)
    run(hex("0803"))
    assert.deepStrictEqual(events, [Event.DbiStart, Event.Batch, Event.Batch, Event.DbiEnd])
    assert.strictEqual(reader.dbi.name, "x")
    assert.strictEqual(reader.formatVersion, 3)
    assert.strictEqual(reader.offset, length + 8)
  })

  it("announced lengths cost no memory: only what arrives is held", () => {
    const reader = new SnapshotReader()
    // A DBI and an entry of nearly 4 GiB, and a value in it.
    reader.push(hex(`1a${varint(0xffff_0000n)} 12${varint(0xfff0_0000n)} 0a016b 12${varint(0xffe0_0000n)} 0102`))
    assert.strictEqual(reader.next(), Event.DbiStart)
    const before = process.memoryUsage().arrayBuffers
    assert.strictEqual(reader.next(), Event.NeedChunk)
    for (let i = 0; i < 100; i++) {
      reader.push(new Uint8Array(1_000))
      assert.strictEqual(reader.next(), Event.NeedChunk)
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 8 * 2 ** 20)
    reader.finish()
    assert.throws(() => reader.next(), /it ends within an entry/)
  })

  it("reads varints longer than needed in every place, in an entry without a copy", () => {
    const entry = `${padded(0x0a, 10)}${padded(1, 10)}6b ${padded(0x12, 3)}${padded(2, 4)}7676 ${padded(0x20, 2)}${padded(1, 5)}`
    const body = `${padded(0x12, 2)}${padded(hex(entry).length, 3)}${entry} ${padded(0x18, 10)}${padded(8, 10)}`
    const message = hex(`${padded(0x08, 9)}${padded(3, 10)} ${padded(0x1a, 2)}${padded(hex(body).length, 9)}${body}`)
    for (const size of [1, 3, message.length]) {
      const snapshot = decode(message, size)
      assert.strictEqual(snapshot.formatVersion, 3)
      assert.deepStrictEqual(snapshot.dbis[0]!.entries, [{ key: "6b", value: "7676", timestampNano: 0n, flags: 1 }])
      assert.strictEqual(snapshot.dbis[0]!.flags, 8n)
    }
  })

  it("flags of two bytes, the second like the tag of a timestamp, are no timestamp", () => {
    const message = hex("1a12 1210 0a016b 208019 2001200120012001 2001")
    for (const size of [1, message.length]) {
      assert.deepStrictEqual(decode(message, size).dbis[0]!.entries, [
        { key: "6b", value: "", timestampNano: 0n, flags: 1 }
      ])
    }
  })

  it("says what is wrong and where; it is wrong in chunks of any size", () => {
    const cases: ReadonlyArray<readonly [string, string, string]> = [
      ["an entry of length 0", "1a02 1200", "an entry of length 0"],
      ["no key", "1a05 1203 120176", "an entry without a key"],
      ["an empty key", "1a04 1202 0a00", "an entry without a key"],
      ["a long key that a shorter one follows", `1a8904 128604 0a8004${"6b".repeat(512)} 0a016b`, "a key of 512 bytes"],
      ["a field past its entry", "1a05 1203 0a026b", "passes the end of its entry"],
      ["an entry past its DBI", "1a04 1203 0a016b", "a length passes the end of a DBI"],
      ["a tag cut by the end of its DBI", "1a01 92 00", "a field passes the end of a DBI"],
      ["a timestamp cut by the end of its entry", "1a08 1206 0a016b 190000 0000", "a field passes the end of"],
      ["an end within a DBI", "1a05 1203", "it ends within"],
      ["an end within a tag", "88", "it ends within the snapshot"],
      ["a wrong wire type", "1d00000000", "field 3 of the snapshot has wire type 5"],
      ["a wrong wire type in an entry", "1a07 1205 0a016b 1800", "field 3 of an entry has wire type 0"],
      ["continued flags before a timestamp", "1a10 120e 0a016b 20ff 190000000000000000", "field number 0"],
      ["an unreachable length", "1affffffffffffffffff01", "a length passes the end of the snapshot"],
      ["a name of 64 KiB and more", `1a${varint(70_000n)} 0a${varint(69_000n)}`, "field 1 of a DBI has 69000 bytes"],
      ["a version of 33 bits", "088080808010", "a version of more than 32 bits"],
      ["a varint of 11 bytes", `08${"80".repeat(10)}00`, "a varint of more than 10 bytes"],
      ["a varint of 65 bits", `08${"80".repeat(9)}02`, "a varint of more than 64 bits"],
      ["a group", "7b", "field 15 has wire type 3"],
      ["a field number of 30 bits", "8080808020 00", "a field number of more than 29 bits"]
    ]
    for (const [name, message, problem] of cases) {
      // Where an entry lies across chunks it may be another field of it that is found wrong first.
      for (const size of [1, 2, 3]) assert.isNotEmpty(problemOf(hex(message), size), name)
      assert.include(problemOf(hex(message)), problem, name)
      assert.match(problemOf(hex(message)), /near byte \d+ of/)
    }
  })
})
