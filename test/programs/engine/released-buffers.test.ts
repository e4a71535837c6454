/** Large buffers go back when they are done with, whenever the collector comes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { releaseBuffer } from "../../../src/domain/bytes/ReleaseBuffer.ts"
import * as CompressionGzip from "../../../src/layers/compression/CompressionGzip.ts"
import { digest, digestNow } from "../../../src/layers/compression/Digest.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { type Codec, Compression } from "../../../src/services/Compression.ts"
import { databaseOptions, dump, merge, over, putRaw, write } from "../../support/fixtures/Environments.ts"
import { many, rawDbis } from "../../support/fixtures/Snapshots.ts"

interface Seen {
  readonly bytes: Uint8Array
  readonly length: number
}

/**
 * Gzip, and its buffers: those that members to compress or to decompress were in, and the compressed and decompressed
 * members that it gave.
 */
const watched = () => {
  const read: Array<Seen> = []
  const encoded: Array<Seen> = []
  const compressed: Array<Seen> = []
  const contents: Array<Seen> = []
  const { compress, members } = CompressionGzip.codec
  const codec: Codec = {
    ...CompressionGzip.codec,
    compress: (member) =>
      Effect.tap(compress(member), (pieces) =>
        Effect.sync(() => {
          encoded.push({ bytes: member, length: member.length })
          pieces.forEach((bytes) => compressed.push({ bytes, length: bytes.length }))
        })
      ),
    members: {
      ...members!,
      decompress: (member) =>
        Effect.tap(members!.decompress(member), (bytes) =>
          Effect.sync(() => {
            read.push({ bytes: member, length: member.length })
            contents.push({ bytes, length: bytes.length })
          })
        )
    }
  }
  return {
    compressed,
    contents,
    encoded,
    read,
    layer: Layer.succeed(Compression, { gzip: codec, zstd: codec, digest, digestNow })
  }
}

/** 1.3 MB, which gzip makes about 0.9 of. */
const hardlyCompressible = Array.from({ length: 200_000 }, (_, i) =>
  (Math.imul(i + 1, 2_654_435_761) >>> 0).toString(36)
).join("")

const isLarge = ({ length }: Seen) => length > Buffer.poolSize
const large = (seen: ReadonlyArray<Seen>) => seen.filter(isLarge)
const stillThere = (seen: ReadonlyArray<Seen>) => large(seen).filter(({ bytes }) => bytes.length > 0).length

describe("Buffers", () => {
  it.live("of compressed members are released when they were written, of decompressed ones when they were merged", () =>
    Effect.gen(function* () {
      const lines = many(20_000, 20, 60)
      const { compressed, contents, layer } = watched()
      const run = <A, E>(use: Effect.Effect<A, E, Layer.Success<ReturnType<typeof over>>>) =>
        Effect.provide(use, over(LmdbMemory.layerWith(), databaseOptions(), layer), { local: true })
      const { object } = yield* run(Effect.andThen(write(putRaw(rawDbis({ a: lines, b: lines, c: lines }))), dump()))
      assert.isAbove(large(compressed).length, 2)
      assert.strictEqual(stillThere(compressed), 0)
      const result = yield* run(merge(object))
      assert.strictEqual(result.entriesWritten, 60_000)
      assert.isAbove(large(contents).length, 2)
      assert.strictEqual(stillThere(contents), 0)
    })
  )

  it.live("that had to grow for a large member are released, and the others used again", () =>
    Effect.gen(function* () {
      const { encoded, layer } = watched()
      const huge = ["huge", 20, "v".repeat(3 * 2 ** 20)] as const
      yield* Effect.provide(
        Effect.andThen(write(putRaw(rawDbis({ a: [huge], b: many(20_000, 20, 60) }))), dump()),
        over(LmdbMemory.layerWith(), databaseOptions(), layer),
        { local: true }
      )
      const grown = encoded.filter(({ length }) => length > 2 ** 21)
      assert.strictEqual(grown.length, 1)
      assert.strictEqual(stillThere(grown), 0)
      assert.isAbove(stillThere(encoded), 0)
    })
  )

  it.live("that had to be made for a large compressed member are released, and the others used again", () =>
    Effect.gen(function* () {
      const { layer, read } = watched()
      const huge = ["huge", 20, hardlyCompressible] as const
      yield* Effect.provide(
        Effect.gen(function* () {
          const { object } = yield* Effect.andThen(
            write(putRaw(rawDbis({ a: [huge], b: many(60_000, 20, 60) }))),
            dump()
          )
          yield* Effect.provide(merge(object), over(LmdbMemory.layerWith(), databaseOptions(), layer), { local: true })
        }),
        over(LmdbMemory.layerWith(), databaseOptions(), layer),
        { local: true }
      )
      const made = read.filter(({ length }) => length > 2 ** 19)
      assert.strictEqual(made.length, 1)
      assert.strictEqual(stillThere(made), 0)
      const others = read.filter((seen) => !made.includes(seen))
      assert.isBelow(new Set(others.map(({ bytes }) => bytes.buffer)).size, others.length)
    })
  )

  it("that may be a part of Node's pool stay", () => {
    const [one, other] = [Buffer.from("one"), Buffer.from("other")]
    assert.strictEqual(one.buffer, other.buffer)
    releaseBuffer(one)
    assert.strictEqual(other.toString(), "other")
    const own = new Uint8Array(100_000)
    releaseBuffer(own.subarray(10, 20))
    assert.lengthOf(own, 0)
  })
})
