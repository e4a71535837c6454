/**
 * `Compression` without the thread pool, for tests on virtual time: nothing that the TestClock does not know of is
 * waited for. The same bytes as CompressionGzip, and its errors; whole snapshots at once, so for small ones.
 */
import { Effect, Layer, Stream } from "effect"
import * as zlib from "node:zlib"
import * as GzipMember from "../../src/domain/GzipMember.ts"
import { digestNow } from "../../src/layers/Digest.ts"
import { type Codec, Compression, CompressionError } from "../../src/services/Compression.ts"

const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from(bytes)

const gunzip = (format: string, compressed: Uint8Array) =>
  Effect.try({
    try: () => own(zlib.gunzipSync(compressed)),
    catch: (error) => new CompressionError({ format, problem: String(error), offset: 0 })
  })

const codecOf = (format: string): Codec => ({
  compress: (member) => Effect.sync(() => GzipMember.withLength(own(zlib.gzipSync(member, { level: 1, memLevel: 8 })))),
  decompress: (compressed) =>
    Stream.fromEffect(
      Effect.flatMap(Stream.runCollect(compressed), (chunks) => gunzip(format, Buffer.concat(chunks)))
    ).pipe(Stream.filter((message) => message.length > 0)),
  members: {
    headBytes: GzipMember.headerBytes,
    lengthOf: GzipMember.lengthOf,
    contentLength: GzipMember.contentLength,
    decompress: (member) => gunzip(format, member)
  }
})

const digest = (bytes: Uint8Array) => Effect.sync(() => digestNow(bytes))

export const layer = Layer.succeed(Compression, { gzip: codecOf("gzip"), zstd: codecOf("zstd"), digest, digestNow })
