/** Sources as large as a test wants, whose bytes are made when they are read, and a digest to compare them by. */
import { Effect, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- effect's Crypto hashes whole buffers only
import { createHash } from "node:crypto"
import type { Source } from "../../src/services/Storage.ts"

export const MiB = 1024 * 1024

const block = 65_536
const noise = new Uint8Array(block).map((_, index) => (index * index * 31 + index) >> 3)

/** Bytes that differ in each block. `onRead` sees each range that is read. */
export const generated = (
  size: number,
  onRead: (start: number) => Effect.Effect<void, "broken"> = () => Effect.void
): Source<"broken", never> => ({
  size,
  read: (start, end) =>
    Stream.concat(
      Stream.fromEffectDrain(onRead(start)),
      Stream.unfold(start, (at) =>
        Effect.sync(() => {
          if (at >= end) return undefined
          const from = at % block
          const chunk = noise.slice(from, Math.min(block, from + end - at))
          if (from === 0) new DataView(chunk.buffer).setUint32(0, at / block)
          return [chunk, at + chunk.length] as const
        })
      )
    )
})

export const digest = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(
    Stream.runFold(
      bytes,
      () => createHash("sha256"),
      (hash, chunk) => hash.update(chunk)
    ),
    (hash) => hash.digest("hex")
  )

/** The most that RSS grows while `effect` runs. */
export const rssGrowth = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const before = process.memoryUsage.rss()
  let peak = before
  const sample = Effect.forever(
    Effect.andThen(
      Effect.sync(() => {
        peak = Math.max(peak, process.memoryUsage.rss())
      }),
      Effect.sleep(10)
    )
  )
  yield* Effect.raceFirst(effect, sample)
  return peak - before
})
