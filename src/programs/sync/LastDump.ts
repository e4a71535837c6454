/**
 * Keeps the spool place of the last dump until there is a newer one, so that members that have not changed are neither
 * compressed nor written again. Only places in a file are kept: a dump that fits in memory is made again quickly. A
 * full disk releases the place, since the operation that failed needs the room.
 */
import { Effect, Exit, Scope, Semaphore } from "effect"
import type { DumpResult } from "../../services/Database.ts"

export type Dumped = Pick<DumpResult, "spooled" | "timestampNano">

interface Kept {
  /** Scope of the place. */
  readonly scope: Scope.Closeable
  readonly dumped: Dumped
}

/** Whether the new dump is a revision of the kept place. */
const isSamePlace = ({ dumped }: Kept, { spooled }: DumpResult): boolean => dumped.spooled.place.fd === spooled.place.fd

export class KeptDump {
  readonly #isOn: boolean
  /** Keeps the place open while a dump reads from it. */
  readonly #turns = Semaphore.makeUnsafe(1)
  #kept: Kept | undefined

  /** `isOn`: whether places are kept at all. */
  constructor(isOn: boolean) {
    this.#isOn = isOn
  }

  /**
   * Runs `make`, which opens a place in its scope and dumps into it, or revises the kept place. Then runs `use` with
   * the dump, and keeps its place afterwards.
   */
  dump<A extends { readonly result: DumpResult }, E, R, B, E2, R2>(
    make: (last: Dumped | undefined) => Effect.Effect<A, E, R>,
    use: (dumped: A) => Effect.Effect<B, E2, R2>
  ) {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.#turns.withPermits(1)(this.#make((last) => restore(make(last)))), ({ dumped, scope }) =>
        Effect.ensuring(restore(use(dumped)), this.#keep(scope, dumped.result))
      )
    )
  }

  /** Dumps, and closes the places that are not needed any more: the old one, the new one, or both. */
  #make<A extends { readonly result: DumpResult }, E, R>(make: (last: Dumped | undefined) => Effect.Effect<A, E, R>) {
    return Effect.gen({ self: this }, function* () {
      const kept = this.#kept
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(Scope.provide(make(kept?.dumped), scope))
      if (Exit.isSuccess(exit) && kept !== undefined && isSamePlace(kept, exit.value.result)) {
        this.#kept = undefined
        yield* Scope.close(scope, Exit.void)
        return { dumped: exit.value, scope: kept.scope }
      }
      yield* this.#close
      if (Exit.isFailure(exit)) yield* Scope.close(scope, exit)
      return { dumped: yield* exit, scope }
    })
  }

  #keep(scope: Scope.Closeable, { spooled, timestampNano }: DumpResult): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#isOn || spooled.memory.length > 0) return Scope.close(scope, Exit.void)
      this.#kept = { scope, dumped: { spooled, timestampNano } }
      return Effect.void
    })
  }

  readonly giveUp: Effect.Effect<void> = Effect.suspend(() => this.#turns.withPermits(1)(this.#close))

  readonly #close: Effect.Effect<void> = Effect.suspend(() => {
    const kept = this.#kept
    this.#kept = undefined
    return kept === undefined ? Effect.void : Scope.close(kept.scope, Exit.void)
  })
}
