/** Loads objects from the bucket into the spool, in their compressed form. */
import { Clock, Duration, Effect, Stream } from "effect"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import { MemoryBudget } from "../../../services/MemoryBudget.ts"
import { Spool } from "../../../services/Spool.ts"
import { Storage } from "../../../services/Storage.ts"
import { millisSince } from "../../Elapsed.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

/**
 * Maximum size in bytes of a small object. Its request takes longer than its transfer, so several are loaded in
 * parallel.
 */
export const smallBytesMax = 262_144

/** Number of small objects that are loaded in parallel. With their size, it bounds what one download permit holds. */
const atOnce = 16

/** Returns how many of the next objects, in the order of their merges, are to be loaded together: at least one. */
export const loadedTogether = (steps: ReadonlyArray<Snapshot>): number => {
  const large = steps.findIndex(({ object }) => object.size > smallBytesMax)
  return Math.max(1, Math.min(atOnce, large < 0 ? steps.length : large))
}

/** Loads an object into a place of the spool, which belongs to the scope. */
export const download = Effect.fn("Downloader.download")(
  function* (database: string, { name, object }: Snapshot) {
    const storage = yield* Storage
    const spool = yield* Spool
    const hold = yield* (yield* MemoryBudget).hold(database, "download")
    const began = yield* Clock.monotonicTimeNanos
    const writer = spool.writer(yield* spool.open)
    const loadBegan = yield* Clock.monotonicTimeNanos
    // The next chunk is downloaded while the last one is written to the spool.
    yield* Stream.runForEach(Stream.buffer(storage.load(object.name, object), { capacity: 2 }), (chunk) =>
      Effect.andThen(
        writer.append(chunk),
        Effect.sync(() => {
          hold(chunk.length)
          releaseBuffer(chunk)
        })
      )
    )
    const loadMillis = yield* millisSince(loadBegan)
    const spooled = yield* writer.finish
    yield* Effect.logInfo("Snapshot downloaded", {
      snapshot_instance: name.instance,
      timestamp: name.timestampText,
      kind: name.kind,
      time_load_storage: Duration.millis(loadMillis),
      time_load_total: Duration.millis(yield* millisSince(began))
    })
    return spooled
  },
  Effect.annotateLogs({ component: "downloader" })
)
