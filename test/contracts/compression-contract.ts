/** The contract of every codec. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Stream } from "effect"
import type { Codec, CompressionError } from "../../src/services/Compression.ts"
import { collect, cut, recordBytes } from "../support/fixtures/ByteStreams.ts"

const Lengths = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300_000 }))).check(
  Schema.isMaxLength(6)
)
const PieceSize = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))

const held = () => process.memoryUsage().arrayBuffers

export const suite = (name: string, { compress, decompress }: Codec) => {
  const compressed = Effect.fnUntraced(function* (...members: ReadonlyArray<Uint8Array<ArrayBuffer>>) {
    return Buffer.concat((yield* Effect.forEach(members, compress, { concurrency: 3 })).flat())
  })

  describe(`Codec (${name})`, () => {
    it.live.prop(
      "gives back the members, however the container is cut, zero bytes after them or not",
      [Lengths, PieceSize, PieceSize],
      ([lengths, size, zeros]) =>
        Effect.gen(function* () {
          const members = [recordBytes(10), ...lengths.map((length, index) => recordBytes(length, index))]
          const container = Buffer.concat([yield* compressed(...members), new Uint8Array(size % 2 === 0 ? zeros : 0)])
          assert.isTrue(Buffer.concat(members).equals(yield* collect(decompress(cut(container, size)))))
        }),
      { arbitrary: { runs: 40 } }
    )

    it.live("takes empty pieces, and arrays of many", () =>
      Effect.gen(function* () {
        const bytes = yield* compressed(recordBytes(5_000))
        const pieces = Stream.concat(
          Stream.make(new Uint8Array(0)),
          Stream.rechunk(Stream.concat(cut(bytes, 3), Stream.make(new Uint8Array(0))), 1_000)
        )
        assert.isTrue(Buffer.from(recordBytes(5_000)).equals(yield* collect(decompress(pieces))))
      })
    )

    it.live("equal members give equal bytes", () =>
      Effect.gen(function* () {
        assert.isTrue((yield* compressed(recordBytes(70_000))).equals(yield* compressed(recordBytes(70_000))))
      })
    )

    it.live("an empty container is an error", () =>
      Effect.gen(function* () {
        const error: CompressionError = yield* Effect.flip(collect(decompress(Stream.empty)))
        assert.strictEqual(error.message, `the ${name} container is corrupt near byte 0: it is empty`)
      })
    )

    it.live("truncated at any byte is an error with the length, but between members", () =>
      Effect.gen(function* () {
        const first = yield* compressed(recordBytes(100))
        const both = yield* compressed(recordBytes(100), recordBytes(150, 2))
        for (let length = 1; length < both.length; length++) {
          const exit = yield* Effect.exit(collect(decompress(cut(both.subarray(0, length), 13))))
          if (length === first.length) assert.deepStrictEqual(exit, Exit.succeed(Buffer.from(recordBytes(100))))
          else assert.strictEqual((yield* Effect.flip(exit)).offset, length)
        }
      })
    )

    it.live("a changed byte is an error, or changes nothing", () =>
      Effect.gen(function* () {
        const content = Buffer.from(recordBytes(300))
        const bytes = yield* compressed(new Uint8Array(content))
        for (let index = 0; index < bytes.length; index++) {
          const flipped = Buffer.from(bytes)
          flipped[index]! ^= 1 << ((index * 5) & 7)
          const exit = yield* Effect.exit(collect(decompress(cut(flipped, 50))))
          if (Exit.isSuccess(exit)) assert.isTrue(content.equals(exit.value), `byte ${index}`)
        }
      })
    )

    it.live("one byte after the last member is an error at its offset, unless it is zero", () =>
      Effect.gen(function* () {
        const bytes = yield* compressed(recordBytes(1_000))
        for (const garbage of [1, 0x1f, 0x28, 0x50, 255]) {
          const error = yield* Effect.flip(
            collect(decompress(cut(Buffer.concat([bytes, Buffer.from([0, garbage])]), 64)))
          )
          assert.strictEqual(error.offset, bytes.length + 1)
          yield* Effect.flip(collect(decompress(cut(Buffer.concat([bytes, Buffer.from([garbage])]), 64))))
        }
      })
    )

    it.live("an error of the source comes through as it is", () =>
      Effect.gen(function* () {
        const bytes = yield* compressed(recordBytes(1_000_000))
        const source = Stream.concat(cut(bytes.subarray(0, 100_000), 30_000), Stream.fail("broken download" as const))
        assert.strictEqual(yield* Effect.flip(collect(decompress(source))), "broken download")
      })
    )

    it.live("arrays of one chunk of 256 KiB at most, and the source is only a little ahead", () =>
      Effect.gen(function* () {
        const container = yield* compressed(...Array.from({ length: 40 }, (_, index) => recordBytes(512 * 1024, index)))
        let pulled = 0
        let given = 0
        const source = Stream.tap(cut(container, 16_384), (piece) => Effect.sync(() => void (pulled += piece.length)))
        yield* Stream.runForEachArray(decompress(source), (chunks) =>
          Effect.gen(function* () {
            assert.strictEqual(chunks.length, 1)
            assert.isAtMost(chunks[0]!.length, 256 * 1024)
            given += chunks[0]!.length
            yield* Effect.sleep(1)
            // At most two chunks of output and three pieces of input are in flight.
            const expected = ((given + 2 * 256 * 1024) / (40 * 512 * 1024)) * container.length * 1.1
            assert.isAtMost(pulled, expected + 3 * 16_384)
          })
        )
        assert.strictEqual(given, 40 * 512 * 1024)
      })
    )

    it.live("an interruption ends it at once and closes the source", () =>
      Effect.gen(function* () {
        const bytes = yield* compressed(recordBytes(3_000_000))
        const reached = yield* Deferred.make<void>()
        let closed = false
        const source = cut(bytes, 10_000).pipe(
          Stream.concat(Stream.never),
          Stream.ensuring(Effect.sync(() => void (closed = true)))
        )
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(decompress(source), () => Deferred.succeed(reached, undefined))
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(closed)
      })
    )

    it.live("a few bytes that expand to many do so a few chunks ahead of the reader, no more", () =>
      Effect.gen(function* () {
        const zeros = yield* compressed(new Uint8Array(64_000_000))
        let before = 0
        let length = 0
        yield* Stream.runForEach(decompress(cut(zeros, 1_000_000)), (chunk) => {
          length += chunk.length
          if (before > 0) return Effect.void
          before = held()
          return Effect.andThen(
            Effect.sleep(100),
            Effect.sync(() => assert.isBelow(held() - before, 2_000_000))
          )
        })
        assert.strictEqual(length, 64_000_000)
      })
    )
  })
}
