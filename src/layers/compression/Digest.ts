/**
 * SHA-256 for `Compression`: names content, so that equal names are equal bytes, also against somebody who would like
 * them not to be.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, and over several pieces
import { createHash } from "node:crypto"

export const digestNow = (...pieces: ReadonlyArray<Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const piece of pieces) hash.update(piece)
  return hash.digest().toString("latin1")
}

/** Bytes. Some 5 ms. */
const sliceBytes = 8 * 2 ** 20

/**
 * In this thread: WebCrypto, which would take another, copies what it is given, and that takes longer than the digest
 * itself. A turn of the event loop after each slice.
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
