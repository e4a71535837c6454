/** What `Compression` has besides its codecs, which have a contract of their own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as zlib from "node:zlib"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import { Compression } from "../../../src/services/Compression.ts"
import { recordBytes } from "../../support/fixtures/ByteStreams.ts"

describe("Compression", () => {
  it.live("digests are SHA-256, of bytes or of pieces in a row, at once or in turns", () =>
    Effect.gen(function* () {
      const { digest, digestNow } = yield* Compression
      const bytes = recordBytes(100_000)
      assert.strictEqual(
        Buffer.from(digestNow(Buffer.from("abc")), "latin1").toString("hex"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      )
      assert.lengthOf(digestNow(bytes), 32)
      assert.strictEqual(yield* digest(bytes), digestNow(bytes))
      assert.strictEqual(digestNow(bytes.subarray(0, 7), bytes.subarray(7)), digestNow(bytes))
    }).pipe(Effect.provide(Compressions.layer))
  )

  it.live("the thread gets its turns during the digest of many bytes", () =>
    Effect.gen(function* () {
      const { digest, digestNow } = yield* Compression
      const bytes = Buffer.alloc(2 ** 25 + 3, "many")
      let turns = 0
      const counting = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void turns++)
          )
        )
      )
      assert.strictEqual(yield* digest(bytes), digestNow(bytes))
      assert.isAbove(turns, 1)
      yield* Fiber.interrupt(counting)
    }).pipe(Effect.provide(Compressions.layer))
  )

  it.live("each format is what its name says", () =>
    Effect.gen(function* () {
      const { gzip, zstd } = yield* Compression
      const bytes = recordBytes(5_000)
      assert.isTrue(zlib.gunzipSync(Buffer.concat(yield* gzip.compress(bytes))).equals(bytes))
      assert.isTrue(zlib.zstdDecompressSync(Buffer.concat(yield* zstd.compress(bytes))).equals(bytes))
    }).pipe(Effect.provide(Compressions.layer))
  )
})
