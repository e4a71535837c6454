/**
 * Collects garbage from time to time while snapshots are read. What zlib leaves behind is outside of V8's heap, and V8
 * would let tens of megabytes of it pile up.
 */
import { Effect } from "effect"
import { GarbageCollector } from "../../services/GarbageCollector.ts"

/** Number of members or chunks, of about half a megabyte each. A collection takes 10 ms, these take half a second. */
const feedsPerCollection = 32

/** Returns an effect to be run after each member or chunk that was read. */
export const make = Effect.map(GarbageCollector, ({ collect }) => {
  let feeds = 0
  return Effect.suspend(() => (++feeds % feedsPerCollection === 0 ? collect : Effect.void))
})
