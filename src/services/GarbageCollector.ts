/**
 * Collects now, in the calling thread, for when a large block was just let go. Blocks this thread for as long as its
 * heap is large.
 */
import { Context, type Effect } from "effect"

export class GarbageCollector extends Context.Service<
  GarbageCollector,
  {
    readonly collect: Effect.Effect<void>
  }
>()("lightningstream/services/GarbageCollector") {}
