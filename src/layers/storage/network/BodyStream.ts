/** Converts request and response bodies between Effect's streams and Node's, which the SDKs of the stores use. */
import { NodeStream } from "@effect/platform-node"
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDKs take and give node's streams
import type { PassThrough, Readable } from "node:stream"

/** Writes all bytes and ends the body. Waits while the socket is slower than the source. */
export const pump = <E, R>(bytes: Stream.Stream<Uint8Array<ArrayBuffer>, E, R>, body: PassThrough) =>
  Stream.runForEach(bytes, (chunk) =>
    Effect.callback<void>((resume) => {
      if (body.write(chunk)) return resume(Effect.void)
      const go = () => resume(Effect.void)
      body.once("drain", go)
      return Effect.sync(() => void body.off("drain", go))
    })
  ).pipe(Effect.andThen(Effect.sync(() => void body.end())))

/** Chunks of one socket read may share a buffer. The reader must be able to transfer its chunk to another thread. */
const owned = (chunk: Uint8Array): Uint8Array<ArrayBuffer> => {
  const { buffer, byteLength } = chunk
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(chunk)
}

/** Returns non-empty chunks that belong to the reader. */
export const chunksOf = <E>(
  body: Readable,
  onError: (error: unknown) => E
): Stream.Stream<Uint8Array<ArrayBuffer>, E> =>
  NodeStream.fromReadable<Uint8Array, E>({ evaluate: () => body, onError }).pipe(
    Stream.filter((chunk) => chunk.length > 0),
    Stream.map(owned)
  )
