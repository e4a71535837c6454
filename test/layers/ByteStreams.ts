/** Bytes as streams, cut as a test wants them, and back. */
import { Effect, Stream } from "effect"

export type Bytes = Uint8Array<ArrayBuffer>

/** Each piece in a buffer of its own, each in an array of its own. */
export const cut = (bytes: Uint8Array, size: number): Stream.Stream<Bytes> => {
  const pieces: Array<Bytes> = []
  for (let start = 0; start < bytes.length; start += size)
    pieces.push(new Uint8Array(bytes.subarray(start, start + size)))
  return Stream.fromIterable(pieces).pipe(Stream.rechunk(1))
}

/** Copies each chunk: it is valid only until the next one. */
export const collect = <E, R>(stream: Stream.Stream<Uint8Array, E, R>): Effect.Effect<Buffer, E, R> =>
  Effect.map(Stream.runCollect(Stream.map(stream, (chunk) => Buffer.from(chunk))), (chunks) => Buffer.concat(chunks))

/** Like records: text that compresses to a third or so. */
export const recordBytes = (length: number, seed = 1): Bytes => {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[index] = index % 8 < 5 ? 97 + ((index >>> 3) % 16) : 32 + ((state >>> 16) % 64)
  }
  return bytes
}
