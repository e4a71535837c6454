/**
 * Bounds how many snapshots of each database are in memory at once: compressed ones (`download`) and ones being merged
 * (`decompress`). A count and not bytes, because a snapshot's size is known too late, and a large one that waits for
 * many bytes would starve behind small ones.
 */
import { Context, type Effect, type Scope } from "effect"

export type Budget = "download" | "decompress"

export interface BudgetUse {
  readonly limit: number
  readonly active: number
  readonly waiting: number
  /** What the holders have counted with `hold`. */
  readonly bytes: number
}

export class MemoryBudget extends Context.Service<
  MemoryBudget,
  {
    /**
     * Runs `use` with a permit of that budget of `database`, and a scope for its buffers. On leaving, also by failure
     * or interruption, in this order: the scope closes, a garbage collection is run, the permit returns. So the next
     * holder starts with the memory really free. What a merge held (`decompress`) its `Database` has collected by then,
     * in the thread that held it. Nothing is collected before 1 MiB that was counted with `hold` was released.
     */
    readonly withPermit: (
      database: string,
      budget: Budget
    ) => <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Scope.Scope>>
    /** Counts the bytes that a holder has: those given to what this returns, until the scope closes. */
    readonly hold: (database: string, budget: Budget) => Effect.Effect<(bytes: number) => void, never, Scope.Scope>
    readonly use: (database: string, budget: Budget) => Effect.Effect<BudgetUse>
  }
>()("lightningstream/services/MemoryBudget") {}
