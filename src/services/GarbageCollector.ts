/**
 * Collects garbage immediately, in the calling thread, after a large block was released. The call blocks the thread for
 * a time that depends on the size of the thread's heap.
 */
import { Context, type Effect } from "effect"

export class GarbageCollector extends Context.Service<
  GarbageCollector,
  {
    readonly collect: Effect.Effect<void>
  }
>()("lightningstream/services/GarbageCollector") {}
