/**
 * The place of the last dump, kept until there is a newer one: what has not changed stays there, and need not be
 * compressed or written again. Only one that is in a file: one that fits in memory is made again quickly. It is given
 * up when the disk is full: whatever failed for that needs the room more.
 */
import { Effect, Exit, Scope, Semaphore } from "effect"
import type { DumpResult } from "../../services/Database.ts"

export type Dumped = Pick<DumpResult, "spooled" | "timestampNano">

interface Kept {
  /** Closes the place. */
  readonly scope: Scope.Closeable
  readonly dumped: Dumped
}

/** The new dump is a revision of the place of the one before. */
const isSamePlace = ({ dumped }: Kept, { spooled }: DumpResult): boolean => dumped.spooled.place.fd === spooled.place.fd

export class KeptDump {
  readonly #isOn: boolean
  /** Nobody closes the place while a dump reads from it. */
  readonly #turns = Semaphore.makeUnsafe(1)
  #kept: Kept | undefined

  /** `isOn`: false keeps nothing. */
  constructor(isOn: boolean) {
    this.#isOn = isOn
  }

  /**
   * `make` opens a place in its scope and dumps into it, or into that of what is kept and given to it. Then `use`, for
   * as long as which the place of the dump stays open; then it is what is kept.
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

  /** Lets go of the place that is not needed any more: the old one or the new one, or both. */
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
