/** Shows the progress of long work at a terminal. Without a terminal, nothing is shown. */
import { Context, type Effect, type Scope } from "effect"

export interface Meter {
  /** Adds completed work. Called once per chunk or batch. */
  readonly add: (amount: number) => void
}

export interface Work {
  /** Describes the work, as in "Downloading x". */
  readonly label: string
  readonly unit: "bytes" | "entries"
  /** Total amount of work, or undefined if it is unknown. */
  readonly total?: number | undefined
}

export class Progress extends Context.Service<
  Progress,
  {
    /** Measures until the scope closes. Nothing is shown in the first two seconds after the first work has begun. */
    readonly measure: (work: Work) => Effect.Effect<Meter, never, Scope.Scope>
  }
>()("lightningstream/services/Progress") {}
