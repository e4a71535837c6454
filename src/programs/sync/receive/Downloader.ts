/** Loads objects from the bucket into the spool, compressed as they are. */
import { Clock, Duration, Effect, Stream } from "effect"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import { MemoryBudget } from "../../../services/MemoryBudget.ts"
import { Spool } from "../../../services/Spool.ts"
import { Storage } from "../../../services/Storage.ts"
import { millisSince } from "../../Elapsed.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

/** Bytes of an object that is small: a request takes longer than these do, so several are loaded at once. */
const smallBytesMax = 262_144

/** Small objects that are loaded at once: with the bytes of each they bound what one permit to download holds. */
const atOnce = 16

/** Returns how many of the objects, which are to be merged in this order, are to be loaded together: at least one. */
export const loadedTogether = (steps: ReadonlyArray<Snapshot>): number => {
  const large = steps.findIndex(({ object }) => object.size > smallBytesMax)
  return Math.max(1, Math.min(atOnce, large < 0 ? steps.length : large))
}

/** Loads an object into the spool of the scope. */
export const download = Effect.fn("Downloader.download")(
  function* (database: string, { name, object }: Snapshot) {
    const storage = yield* Storage
    const spool = yield* Spool
    const hold = yield* (yield* MemoryBudget).hold(database, "download")
    const began = yield* Clock.monotonicTimeNanos
    const writer = spool.writer(yield* spool.open)
    const loadBegan = yield* Clock.monotonicTimeNanos
    // The bucket is read while the spool is written.
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
