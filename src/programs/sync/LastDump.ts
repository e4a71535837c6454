/**
 * Keeps the spool place of the last dump until there is a newer one, so that members that have not changed are neither
 * compressed nor written again. Only places in a file are kept, because a dump that fits into memory is repeated
 * quickly. When the disk is full, the kept place is released to make room.
 *
 * Each dump has a scope, in which its place is opened. The scope is closed when
 *
 *     the dump fails;
 *     the dump revises the kept place: its own place is then unused, and the kept scope stays open;
 *     the dump has been used, unless its place is kept;
 *     a newer dump replaces the kept one, or `giveUp` is called.
 */
import { Effect, Exit, Scope, Semaphore } from "effect"
import type { DumpResult } from "../../services/Database.ts"

export type Dumped = Pick<DumpResult, "spooled" | "timestampNano">

/** A dump whose place is open, and the scope that closes it. */
interface OpenDump<A> {
  readonly dumped: A
  readonly scope: Scope.Closeable
}

/** True if both dumps are in the same place, that is, if the later one is a revision of the earlier one. */
const isSamePlace = (a: Dumped, b: Dumped): boolean => a.spooled.place.fd === b.spooled.place.fd

export class LastDump {
  readonly #isOn: boolean
  /** Ensures that the kept place is not closed while a dump reads from it. */
  readonly #turns = Semaphore.makeUnsafe(1)
  #kept: OpenDump<Dumped> | undefined

  /** Creates the state. With `isOn` false, no place is ever kept. */
  constructor(isOn: boolean) {
    this.#isOn = isOn
  }

  /**
   * Runs `make`, which opens a place in its scope and dumps into it, or revises the kept place, which it gets as
   * `last`. Then runs `use` with the dump. Afterwards, the place of the dump is kept.
   */
  dump<A extends { readonly result: DumpResult }, E, R, B, E2, R2>(
    make: (last: Dumped | undefined) => Effect.Effect<A, E, R>,
    use: (dumped: A) => Effect.Effect<B, E2, R2>
  ) {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const open = yield* this.#turns.withPermits(1)(this.#make((last) => restore(make(last))))
        return yield* Effect.ensuring(restore(use(open.dumped)), this.#keepOrClose(open))
      })
    )
  }

  /** Waits for a dump that is reading from the kept place, and then closes it. */
  readonly giveUp: Effect.Effect<void> = Effect.suspend(() => this.#turns.withPermits(1)(this.#closeKept))

  /** Dumps, and closes the kept place unless the dump revises it. Afterwards nothing is kept until `#keepOrClose`. */
  #make<A extends { readonly result: DumpResult }, E, R>(make: (last: Dumped | undefined) => Effect.Effect<A, E, R>) {
    return Effect.gen({ self: this }, function* () {
      const kept = this.#kept
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(Scope.provide(make(kept?.dumped), scope))
      if (Exit.isFailure(exit)) {
        yield* this.#closeKept
        yield* Scope.close(scope, exit)
        return yield* Effect.failCause(exit.cause)
      }
      const dumped = exit.value
      if (kept === undefined || !isSamePlace(kept.dumped, dumped.result)) {
        yield* this.#closeKept
        return { dumped, scope } satisfies OpenDump<A>
      }
      this.#kept = undefined
      yield* Scope.close(scope, Exit.void)
      return { dumped, scope: kept.scope } satisfies OpenDump<A>
    })
  }

  #keepOrClose({ dumped, scope }: OpenDump<{ readonly result: DumpResult }>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { spooled, timestampNano } = dumped.result
      if (!this.#isOn || spooled.memory.length > 0) return Scope.close(scope, Exit.void)
      this.#kept = { scope, dumped: { spooled, timestampNano } }
      return Effect.void
    })
  }

  readonly #closeKept: Effect.Effect<void> = Effect.suspend(() => {
    const kept = this.#kept
    this.#kept = undefined
    return kept === undefined ? Effect.void : Scope.close(kept.scope, Exit.void)
  })
}
