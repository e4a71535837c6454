/**
 * Limits how many snapshots of each database are in memory at once: compressed ones (`download`) and those that are
 * being merged (`decompress`). The limit is a number of snapshots and not of bytes, because the size of a snapshot is
 * known too late, and because small snapshots would keep a large one, which needs many bytes, waiting forever.
 */
import { Context, type Effect, type Scope } from "effect"

export type Budget = "download" | "decompress"

export interface BudgetUse {
  readonly limit: number
  readonly active: number
  readonly waiting: number
  /** Bytes that the holders of permits have counted with `hold`. */
  readonly bytes: number
}

export class MemoryBudget extends Context.Service<
  MemoryBudget,
  {
    /**
     * Runs `use` with a permit of a budget of `database` and a scope for its buffers. When `use` ends, also by failure
     * or interruption, the scope closes, then garbage is collected, and then the permit is returned, so that the memory
     * is free when the next holder starts. The garbage of a merge (`decompress`) is collected by its `Database`, in the
     * thread that ran it. Garbage is collected only after at least 1 MiB counted with `hold` has been released.
     */
    readonly withPermit: (
      database: string,
      budget: Budget
    ) => <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Scope.Scope>>
    /** Returns a function that counts bytes as held by the owner of a permit until the scope closes. */
    readonly hold: (database: string, budget: Budget) => Effect.Effect<(bytes: number) => void, never, Scope.Scope>
    /** Returns the current use of a budget. */
    readonly use: (database: string, budget: Budget) => Effect.Effect<BudgetUse>
  }
>()("lightningstream/services/MemoryBudget") {}
