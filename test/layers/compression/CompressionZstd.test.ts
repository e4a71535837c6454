import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as zlib from "node:zlib"
import { codec } from "../../../src/layers/compression/CompressionZstd.ts"
import { collect, cut, recordBytes } from "../../support/fixtures/ByteStreams.ts"
import { suite } from "../../contracts/compression-contract.ts"

suite("zstd", codec)

const errorOf = (bytes: Uint8Array) => Effect.flip(collect(codec.decompress(cut(bytes, 1_000))))

describe("zstd containers", () => {
  it.effect("frames of another implementation are read", () =>
    Effect.gen(function* () {
      const content = recordBytes(3_000_000)
      const bytes = zlib.zstdCompressSync(content)
      assert.isTrue(Buffer.from(content).equals(yield* collect(codec.decompress(cut(bytes, 1_000)))))
    })
  )

  it.effect("another implementation reads ours", () =>
    Effect.gen(function* () {
      const content = recordBytes(3_000_000)
      assert.isTrue(Buffer.from(content).equals(zlib.zstdDecompressSync(Buffer.concat(yield* codec.compress(content)))))
    })
  )

  it.effect("a frame that wants a larger window than 8 MiB is refused before it gets the memory", () =>
    Effect.gen(function* () {
      const { ZSTD_c_compressionLevel, ZSTD_c_windowLog } = zlib.constants
      const bytes = zlib.zstdCompressSync(recordBytes(40_000_000), {
        params: { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_windowLog]: 25 }
      })
      assert.match((yield* errorOf(bytes)).problem, /memory/)
    })
  )

  it.effect("other formats and zero bytes alone are no frames", () =>
    Effect.gen(function* () {
      assert.match((yield* errorOf(zlib.gzipSync("x"))).problem, /Unknown frame descriptor/)
      assert.strictEqual((yield* errorOf(new Uint8Array(10))).problem, "it is no zstd frame")
    })
  )
})
