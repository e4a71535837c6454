/**
 * Knows which keys have changed in the application's DBIs and in their shadows, without looking at those that have not.
 *
 * It keeps a read transaction open, the pin. When LMDB's last id has moved it opens a newer one, compares the two
 * (`Lmdb.changes`), adds the keys to a pending set, and makes the newer one the pin: at each poll, so the pin never
 * holds back more pages than are written between two polls, or during one copy.
 *
 *     unknown ── look ──▶ known, with a pin ── poll, look: compare, move the pin ──▶ known
 *        ▲                                        │
 *        └── too many keys, ReadersFull, ChangesUnknown, or what was looked at in vain was unknown
 *
 * Guarantees: while it knows, each entry that was put, changed or removed since the last look that succeeded is among
 * the pending keys, or the next comparison adds it. Not guaranteed: that a pending key has changed.
 * When it does not know it has no pin, and says so by undefined: then everything has to be looked at, once.
 */
import { Clock, Effect, Exit, Scope, Semaphore } from "effect"
import type { Tracking } from "../../../services/Database.ts"
import { Lmdb, LmdbError, type ReadTransaction } from "../../../services/Lmdb.ts"
import { type EngineError, inSlices } from "../Engine.ts"
import { PendingKeys } from "./PendingKeys.ts"

interface Pin {
  readonly view: ReadTransaction
  readonly scope: Scope.Closeable
  /** Nanoseconds of the monotonic clock. */
  readonly since: bigint
}

/** What it can do without: everything is looked at instead. */
const isGivenUp = (error: unknown): error is LmdbError =>
  error instanceof LmdbError && (error.reason._tag === "ReadersFull" || error.reason._tag === "ChangesUnknown")

export class KeyTracker {
  private pin: Pin | undefined
  /** Undefined: unknown. */
  private keys: PendingKeys | undefined
  private givenUp = 0
  /** It could not follow, and that was logged: once. */
  private said = false
  /** The pin is moved by one at a time. */
  private readonly turn = Semaphore.makeUnsafe(1)

  /** For each poll: does nothing while a look is under way. */
  readonly poll: Effect.Effect<void, EngineError, Lmdb> = Effect.suspend(() =>
    this.keys === undefined && this.pin === undefined
      ? Effect.void
      : Effect.asVoid(
          this.turn.withPermitsIfAvailable(1)(
            Effect.suspend(() => (this.keys === undefined ? this.release : Effect.asVoid(this.advance))).pipe(
              Effect.catchIf(isGivenUp, (error) => Effect.andThen(this.release, this.giveUp(error)))
            )
          )
        )
  )

  /**
   * Gives `find` the newest state and the keys that were pending, or undefined when they are not known; then `apply`,
   * what it found. They stay pending unless `apply` succeeds with something else than undefined.
   */
  look<A, B, E, R, E2, R2>(
    find: (view: ReadTransaction, changed: PendingKeys | undefined) => Effect.Effect<A, E, R>,
    apply: (found: A) => Effect.Effect<B | undefined, E2, R2>
  ) {
    return this.whileTaken((take) =>
      Effect.flatMap(
        this.turn.withPermits(1)(Effect.flatMap(this.advance, (view) => Effect.suspend(() => find(view, take())))),
        apply
      )
    )
  }

  /** The same for an `apply` that looks at everything by itself. */
  lookAtAll<B, E, R>(apply: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> {
    return this.whileTaken((take) => Effect.andThen(Effect.sync(take), apply))
  }

  private whileTaken<B, E, R>(
    use: (take: () => PendingKeys | undefined) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E, R> {
    return Effect.suspend(() => {
      let putBack: (() => void) | undefined
      const take = () => {
        const taken = this.keys
        // Without a pin nothing tells what changes from now on.
        this.keys = this.pin === undefined ? undefined : new PendingKeys()
        putBack = () => {
          if (taken === undefined) this.keys = undefined
          else this.keys?.addAll(taken)
        }
        return taken
      }
      return Effect.onExit(use(take), (exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit) || exit.value === undefined) putBack?.()
        })
      )
    })
  }

  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const { pin } = this
    this.pin = undefined
    this.keys = undefined
    return pin === undefined ? Effect.void : Scope.close(pin.scope, Exit.void)
  })

  readonly tracking: Effect.Effect<typeof Tracking.Type> = Effect.map(Clock.monotonicTimeNanos, (now) => ({
    pinMillis: this.pin === undefined ? 0 : Number((now - this.pin.since) / 1_000_000n),
    pendingKeys: this.keys?.count ?? 0,
    pendingBytes: this.keys?.held ?? 0,
    givenUp: this.givenUp
  }))

  /** Moves the pin to the newest state. */
  private readonly advance = Effect.suspend(() => this.move).pipe(Effect.uninterruptible)

  private readonly move = Effect.gen({ self: this }, function* () {
    const lmdb = yield* Lmdb
    const before = this.pin
    if (before !== undefined && (yield* lmdb.lastTransactionId) === before.view.id) return before.view
    const scope = yield* Scope.make()
    const moved = yield* Effect.exit(
      Effect.gen({ self: this }, function* () {
        const view = yield* Scope.provide(lmdb.read, scope)
        if (before !== undefined) yield* Effect.interruptible(this.compare(before.view, view))
        return view
      })
    )
    if (Exit.isFailure(moved)) {
      yield* Scope.close(scope, moved)
      return yield* moved
    }
    this.pin = { view: moved.value, scope, since: yield* Clock.monotonicTimeNanos }
    if (before !== undefined) yield* Scope.close(before.scope, Exit.void)
    return moved.value
  })

  /** Adds what differs to the pending keys, as long as they are known. */
  private readonly compare = Effect.fnUntraced(
    { self: this },
    function* (before: ReadTransaction, after: ReadTransaction) {
      const { keys } = this
      if (keys === undefined) return
      const walk = yield* (yield* Lmdb).changes(before, after, keys.sinkSince(before))
      yield* inSlices((deadline) => walk.run(deadline))
      if (!keys.overflown) return
      this.givenUp++
      this.keys = undefined
      yield* Effect.logDebug("More keys have changed than are kept in mind: everything is looked at once")
    },
    Effect.scoped,
    Effect.catchIf(
      (error) => error instanceof LmdbError && error.reason._tag === "ChangesUnknown",
      (error) => this.giveUp(error)
    )
  )

  private giveUp(error: EngineError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.keys = undefined
      this.givenUp++
      if (this.said) return Effect.void
      this.said = true
      return Effect.logWarning("Cannot follow what changes, looking at everything instead", { error: error.message })
    })
  }
}
