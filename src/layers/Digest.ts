/** SHA-256 for `Compression`: names content, so that equal names are equal bytes, also against somebody who would like them not to be. */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, and over several pieces
import { createHash, webcrypto } from "node:crypto"

export const digestNow = (...pieces: ReadonlyArray<Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const piece of pieces) hash.update(piece)
  return hash.digest().toString("latin1")
}

export const digest = (bytes: Uint8Array<ArrayBuffer>): Effect.Effect<string> =>
  Effect.map(Effect.promise(() => webcrypto.subtle.digest("SHA-256", bytes)), (digest) => Buffer.from(digest).toString("latin1"))
