/**
 * SHA-256 for `Compression`. It names content: equal names mean equal bytes, even against an attacker who tries to
 * produce a collision.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, and over several pieces
import { createHash } from "node:crypto"

export const digestNow = (...pieces: ReadonlyArray<Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const piece of pieces) hash.update(piece)
  return hash.digest().toString("latin1")
}

/** Bytes, which take about 5 ms. */
const sliceBytes = 8 * 2 ** 20

/**
 * Computes the digest in this thread. WebCrypto would use another thread, but it copies its input, which takes longer
 * than the digest itself. The event loop gets a turn after each slice.
 */
export const digest = Effect.fnUntraced(function* (bytes: Uint8Array) {
  if (bytes.length <= sliceBytes) return digestNow(bytes)
  const hash = createHash("sha256")
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    hash.update(bytes.subarray(start, start + sliceBytes))
    yield* Effect.yieldNow
  }
  return hash.digest().toString("latin1")
})
