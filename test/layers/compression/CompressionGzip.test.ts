import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schema, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- golden files, read before any layer is there
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import { codec } from "../../../src/layers/compression/CompressionGzip.ts"
import { collect, cut, recordBytes } from "../../support/fixtures/ByteStreams.ts"
import { suite } from "../../contracts/compression-contract.ts"

const golden = (name: string) => fs.readFileSync(new URL(`../../golden/${name}.pb.gz`, import.meta.url))

const errorOf = (bytes: Uint8Array, size = 65_536) => Effect.flip(collect(codec.decompress(cut(bytes, size))))

/** What a corrupt container says, where in it, and how far the offset may be off (before). */
const broken = {
  "zero-byte": ["it is empty", 0],
  "not-gzip": ["incorrect header check", 0],
  zlib: ["incorrect header check", 0],
  "gzip-method": ["unknown compression method", 0],
  "gzip-crc": ["incorrect data check", 0],
  "gzip-isize": ["incorrect length check", 0],
  "gzip-truncated": ["unexpected end of file", "end"],
  "gzip-truncated-in-header": ["unexpected end of file", "end"],
  "gzip-truncated-at-trailer": ["unexpected end of file", "end"],
  "gzip-truncated-in-trailer": ["unexpected end of file", "end"],
  "gzip-second-member-cut": ["unexpected end of file", "end"]
} as const

suite("gzip", codec)

describe("gzip containers", () => {
  for (const [name, [problem, offset]] of Object.entries(broken)) {
    for (const size of [65_536, 7, 1]) {
      it.effect(`${name}, in pieces of ${size}: ${problem}`, () =>
        Effect.gen(function* () {
          const bytes = golden(`bad/${name}`)
          const error = yield* errorOf(bytes, size)
          assert.strictEqual(error.problem, problem)
          if (offset === "end") assert.strictEqual(error.offset, bytes.length)
          else assert.isAtMost(error.offset, bytes.length)
          if (size === 65_536 && offset === 0) assert.strictEqual(error.offset, 0)
        })
      )
    }
  }

  for (const name of ["gzip-trailing-garbage", "gzip-bit-flip"]) {
    it.effect(`${name} is refused however it is cut`, () =>
      Effect.gen(function* () {
        const bytes = golden(`bad/${name}`)
        for (let size = 1; size <= bytes.length; size = size * 2 + 1) yield* errorOf(bytes, size)
      })
    )
  }

  it.effect("gzip-of-nothing is a valid container without content", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* collect(codec.decompress(cut(golden("bad/gzip-of-nothing"), 3)))).length, 0)
    })
  )

  for (const name of ["x-gzip-header-fields", "x-gzip-level9", "x-gzip-members", "x-gzip-stored"]) {
    it.effect(`${name} is read`, () =>
      Effect.gen(function* () {
        const bytes = golden(`ok/${name}`)
        const expected = zlib.gunzipSync(bytes)
        for (const size of [1, 7, bytes.length])
          assert.isTrue(expected.equals(yield* collect(codec.decompress(cut(bytes, size)))))
      })
    )
  }

  it.effect("garbage after a member is found with its offset, wherever the pieces end", () =>
    Effect.gen(function* () {
      const member = zlib.gzipSync(recordBytes(500))
      for (const garbage of [
        [0, 0, 0, 1],
        [0, 0x1f, 0x8b, 8]
      ]) {
        const bytes = Buffer.concat([member, Buffer.from(garbage)])
        for (let size = 1; size <= bytes.length; size++) {
          const error = yield* errorOf(bytes, size)
          assert.strictEqual(error.offset, member.length + garbage.findIndex((byte) => byte !== 0))
          const inOneArray = Stream.rechunk(cut(bytes, size), 1_000)
          assert.strictEqual((yield* Effect.flip(collect(codec.decompress(inOneArray)))).offset, error.offset)
          assert.strictEqual(
            error.message,
            `the gzip container is corrupt near byte ${error.offset}: something follows the last member`
          )
        }
      }
    })
  )

  it.live("and when the pieces come slowly, one after the other", () =>
    Effect.gen(function* () {
      const member = zlib.gzipSync(recordBytes(500))
      const pieces = [member, new Uint8Array(10), new Uint8Array(20), new Uint8Array(30), Buffer.from([0, 0, 7])].map(
        (piece) => new Uint8Array(piece)
      )
      const slowly = Stream.fromIterable(pieces).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sleep(2))
      )
      const error = yield* Effect.flip(collect(codec.decompress(slowly)))
      assert.strictEqual(error.offset, member.length + 62)
    })
  )

  it.effect("what is given out before the end of a truncated container is there to be shown", () =>
    Effect.gen(function* () {
      const content = recordBytes(2_000_000)
      const whole = zlib.gzipSync(content, { level: 1 })
      let given = 0
      const cutOff = codec.decompress(cut(whole.subarray(0, whole.length - 20), 65_536))
      yield* Effect.flip(Stream.runForEach(cutOff, (chunk) => Effect.sync(() => void (given += chunk.length))))
      assert.isAbove(given, content.length - 4_096)
    })
  )

  it.effect("members are as docs/format.md says: level 1, 32 KiB window, no name, no time, and their own length", () =>
    Effect.gen(function* () {
      const member = recordBytes(100_000)
      const bytes = Buffer.concat(yield* codec.compress(member))
      assert.strictEqual(bytes.subarray(0, 16).toString("hex"), "1f8b080400000000040308004c530400")
      assert.strictEqual(bytes.readUInt32LE(16), bytes.length)
      assert.isTrue(bytes.subarray(20).equals(zlib.gzipSync(member, { level: 1 }).subarray(10)))
    })
  )

  it.effect("a member tells its length, and is read by itself", () =>
    Effect.gen(function* () {
      const { contentLength, decompress, headBytes, lengthOf } = codec.members!
      for (const length of [0, 1, 1_000, 700_000]) {
        const content = recordBytes(length)
        const member = Buffer.concat(yield* codec.compress(content))
        assert.strictEqual(lengthOf(member.subarray(0, headBytes)), member.length)
        assert.strictEqual(lengthOf(member.subarray(0, headBytes - 1)), undefined)
        assert.strictEqual(contentLength(member), length)
        assert.isTrue(Buffer.from(content).equals(yield* decompress(member)))
      }
      assert.strictEqual(lengthOf(zlib.gzipSync(recordBytes(1_000))), undefined)
    })
  )

  it.effect("a member that is broken, longer or shorter than it says is an error", () =>
    Effect.gen(function* () {
      const { decompress } = codec.members!
      const content = Buffer.from(recordBytes(3_000))
      const member = Buffer.concat(yield* codec.compress(new Uint8Array(content)))
      for (let index = 20; index < member.length; index++) {
        const flipped = Buffer.from(member)
        flipped[index]! ^= 1 << ((index * 5) & 7)
        const exit = yield* Effect.exit(decompress(flipped))
        if (Exit.isSuccess(exit)) assert.isTrue(content.equals(exit.value), `byte ${index}`)
      }
      for (let length = 30; length < member.length; length += 7)
        yield* Effect.flip(decompress(member.subarray(0, length)))
      yield* Effect.flip(decompress(Buffer.concat([member, Buffer.alloc(10)])))
      const followed = yield* Effect.flip(decompress(Buffer.concat([member, Buffer.alloc(10), member.subarray(-4)])))
      assert.include(followed.problem, "shorter than it says")
      // What it expands to is not made beyond what it says.
      const bomb = Buffer.from(Buffer.concat(yield* codec.compress(new Uint8Array(5_000_000))))
      bomb.writeUInt32LE(100, bomb.length - 4)
      assert.include((yield* Effect.flip(decompress(bomb))).problem, "larger than 101 bytes")
    })
  )

  it.live("an interrupted compress ends only when zlib does: the member is the caller's again", () =>
    Effect.gen(function* () {
      const member = recordBytes(16_000_000)
      const [whole] = yield* Effect.timed(codec.compress(member))
      const fiber = yield* Effect.forkChild(codec.compress(member), { startImmediately: true })
      const [rest] = yield* Effect.timed(Fiber.interrupt(fiber))
      assert.isAbove(Duration.toMillis(rest), Duration.toMillis(whole) / 10)
    })
  )

  it.effect.prop("random bytes are no container", [Schema.Uint8Array], ([bytes]) => errorOf(new Uint8Array(bytes), 5))
})
