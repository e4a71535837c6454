/**
 * Collects garbage at once, in the calling thread, after a large block was released. The time that this blocks the
 * thread depends on the size of its heap.
 */
import { Context, type Effect } from "effect"

export class GarbageCollector extends Context.Service<
  GarbageCollector,
  {
    readonly collect: Effect.Effect<void>
  }
>()("lightningstream/services/GarbageCollector") {}
