/**
 * `Compression` with both formats. Zstd's native code is loaded only when something is compressed or decompressed with
 * it.
 */
import { Layer } from "effect"
import { Compression } from "../../services/Compression.ts"
import * as CompressionGzip from "./CompressionGzip.ts"
import * as CompressionZstd from "./CompressionZstd.ts"
import { digest, digestNow } from "./Digest.ts"

export const layer = Layer.succeed(Compression, {
  gzip: CompressionGzip.codec,
  zstd: CompressionZstd.codec,
  digest,
  digestNow
})
