/** Shows how far long work is, to a person who waits at a terminal. Nobody else sees anything of it. */
import { Context, type Effect, type Scope } from "effect"

export interface Meter {
  /** Counts what was done. Called once per chunk or batch. */
  readonly add: (amount: number) => void
}

export interface Work {
  /** What is done, as in "Downloading x". */
  readonly label: string
  readonly unit: "bytes" | "entries"
  /** Undefined when nobody can tell. */
  readonly total?: number | undefined
}

export class Progress extends Context.Service<
  Progress,
  {
    /** Measures until the scope closes. Work that is done within two seconds shows nothing. */
    readonly measure: (work: Work) => Effect.Effect<Meter, never, Scope.Scope>
  }
>()("lightningstream/services/Progress") {}
