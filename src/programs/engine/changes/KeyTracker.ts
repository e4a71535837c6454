/**
 * Knows which keys have changed in the application's DBIs and in their shadows, without looking at those that have not.
 * Two have to know: the copy main → shadow (`look`) and delta snapshots (`mark`).
 *
 * It keeps a read transaction open, the pin. When LMDB's last id has moved it opens a newer one, compares the two
 * (`Lmdb.changes`), adds the keys to the pending set and to the log, and makes the newer one the pin: at each poll, so
 * the pin never holds back more pages than are written between two polls, or during one copy or dump.
 *
 *     unknown ── look, mark ──▶ known, with a pin ── poll, look, mark: compare, move the pin ──▶ known
 *        ▲                                              │
 *        └── too many keys, ReadersFull, ChangesUnknown, little room in the map, or what was looked at in vain was
 *            unknown
 *
 * Guarantees: while it knows, each entry that was put, changed or removed since the last look that succeeded is among
 * the pending keys, or the next comparison adds it; the same holds for the log and its bookmarks. Not guaranteed: that
 * a pending key has changed.
 * When it does not know it has no pin, and says so by undefined: then everything has to be looked at, once.
 */
import { Clock, Effect, Exit, Semaphore } from "effect"
import type { Tracking } from "../../../services/Database.ts"
import { type ChangeSink, Lmdb, LmdbError, type ReadTransaction } from "../../../services/Lmdb.ts"
import { type EngineError, inSlices } from "../Engine.ts"
import type { ChangeLog, ChangesSince } from "./ChangeLog.ts"
import { PendingKeys } from "./PendingKeys.ts"
import { RisingDbis } from "./RisingDbis.ts"
import { SharedView } from "./SharedView.ts"
import type { WalkedDbis } from "../merge/WalkedDbis.ts"

interface Pin {
  readonly shared: SharedView
  /** Nanoseconds of the monotonic clock. */
  readonly since: bigint
  /** The map of the environment has so little room that a pin may make it full. */
  readonly isRoomLow: boolean
}

/** A dump that is to be a bookmark of the log. */
export interface Mark {
  readonly timestampNano: bigint
  /** Bookmarks that are needed on. */
  readonly keptNano: ReadonlyArray<bigint>
  /** Where a delta is to start: a later bookmark does as well. Absent: no delta is wanted. */
  readonly fromNano?: bigint | undefined
}

/** The state of a dump, until the scope closes. */
export interface Marked {
  readonly view: ReadTransaction
  /** Undefined when it is unknown, or not wanted. */
  readonly changes: ChangesSince | undefined
}

/**
 * Share of the map that must be free for a pin. What is written while it is open needs new room, though as much becomes
 * free at the same time: an eighth is what an application can write between two polls without a map that is full sooner
 * than it would be without us, 128 MiB of a map of 1 GiB.
 */
const roomShare = 1 / 8

/** What it can do without: everything is looked at instead. */
const isGivenUp = (error: unknown): error is LmdbError =>
  error instanceof LmdbError && (error.reason._tag === "ReadersFull" || error.reason._tag === "ChangesUnknown")

/** Gives what changes to two, of which one may have enough before the other. */
const toBoth = (one: ChangeSink, other: ChangeSink): ChangeSink => {
  let isOneIn = false
  let isOtherIn = false
  return {
    dbi: (dbi) => {
      isOneIn = one.dbi(dbi)
      isOtherIn = other.dbi(dbi)
      return isOneIn || isOtherIn
    },
    key: (key, start, end, isPresent) => {
      if (isOneIn) isOneIn = one.key(key, start, end, isPresent)
      if (isOtherIn) isOtherIn = other.key(key, start, end, isPresent)
      // The other may want the next DBI.
      return true
    }
  }
}

export class KeyTracker {
  private pin: Pin | undefined
  /** For the copy. Undefined: unknown. */
  private keys: PendingKeys | undefined
  /** For deltas; undefined when there are none. */
  private readonly log: ChangeLog | undefined
  private readonly walked: WalkedDbis | undefined
  private givenUp = 0
  /** It could not follow, and that was logged: once. */
  private said = false
  private saidRoomLow = false
  /** The pin is moved by one at a time. */
  private readonly turn = Semaphore.makeUnsafe(1)

  /** `walked`: carried on over what the application changes. */
  constructor(log?: ChangeLog, walked?: WalkedDbis) {
    this.log = log
    this.walked = walked
  }

  private get isKnown(): boolean {
    return this.keys !== undefined || this.log?.isKnown === true
  }

  /** For each poll: does nothing while a look is under way. */
  readonly poll: Effect.Effect<void, EngineError, Lmdb> = Effect.suspend(() =>
    this.pin === undefined ? Effect.void : Effect.asVoid(this.turn.withPermitsIfAvailable(1)(this.follow))
  )

  private readonly follow: Effect.Effect<void, EngineError, Lmdb> = Effect.suspend(() =>
    this.isKnown ? Effect.asVoid(this.advance) : Effect.void
  ).pipe(
    Effect.andThen(Effect.suspend(() => (this.pin?.isRoomLow === true ? this.sayRoomLow : Effect.void))),
    Effect.andThen(Effect.suspend(() => (this.isKnown && this.pin?.isRoomLow !== true ? Effect.void : this.release))),
    Effect.catchIf(isGivenUp, (error) => Effect.andThen(this.release, this.giveUp(error)))
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
        this.turn.withPermits(1)(Effect.flatMap(this.advance, ({ view }) => Effect.suspend(() => find(view, take())))),
        apply
      )
    )
  }

  /** The same for an `apply` that looks at everything by itself. */
  lookAtAll<B, E, R>(apply: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> {
    return this.whileTaken((take) => Effect.andThen(Effect.sync(take), apply))
  }

  /**
   * Gives the newest state, and sets a bookmark at it; undefined when changes cannot be followed from there. Nothing is
   * marked when a delta is wanted and what it would hold is unknown.
   */
  mark({ fromNano, keptNano, timestampNano }: Mark) {
    return this.turn.withPermits(1)(
      Effect.gen({ self: this }, function* () {
        const { log } = this
        if (log === undefined) return undefined
        const shared = yield* this.advance
        const { isRoomLow } = this.pin!
        if (isRoomLow) yield* Effect.andThen(this.release, this.sayRoomLow)
        log.keepOnly(keptNano)
        const changes = fromNano === undefined ? undefined : log.since(fromNano)
        if (isRoomLow || (fromNano !== undefined && changes === undefined)) return undefined
        log.mark({ timestampNano, transactionId: shared.view.id })
        return { view: yield* shared.use, changes } satisfies Marked
      }).pipe(
        Effect.catchIf(isGivenUp, (error) => Effect.as(Effect.andThen(this.release, this.giveUp(error)), undefined))
      )
    )
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
    this.log?.clear()
    return pin === undefined ? Effect.void : pin.shared.leave
  })

  readonly tracking: Effect.Effect<typeof Tracking.Type> = Effect.map(Clock.monotonicTimeNanos, (now) => ({
    pinMillis: this.pin === undefined ? 0 : Number((now - this.pin.since) / 1_000_000n),
    pendingKeys: (this.keys?.count ?? 0) + (this.log?.count ?? 0),
    pendingBytes: (this.keys?.held ?? 0) + (this.log?.held ?? 0),
    givenUp: this.givenUp
  }))

  /** Moves the pin to the newest state. */
  private readonly advance = Effect.suspend(() => this.move).pipe(Effect.uninterruptible)

  private readonly move = Effect.gen({ self: this }, function* () {
    const lmdb = yield* Lmdb
    const before = this.pin?.shared
    if (before !== undefined && (yield* lmdb.lastTransactionId) === before.view.id) return before
    const shared = yield* SharedView.open
    const isRoomLow = yield* Effect.gen({ self: this }, function* () {
      if (before !== undefined) yield* Effect.interruptible(this.compare(before.view, shared.view))
      const { mapSize, used } = yield* lmdb.info
      return mapSize - used < roomShare * mapSize
    }).pipe(Effect.onError(() => shared.leave))
    this.pin = { shared, since: yield* Clock.monotonicTimeNanos, isRoomLow }
    if (before !== undefined) yield* before.leave
    return shared
  })

  /** Adds what differs to the pending keys and to the log, as long as they are known. */
  private readonly compare = Effect.fnUntraced(
    { self: this },
    function* (before: ReadTransaction, after: ReadTransaction) {
      const { keys } = this
      const log = this.log?.isKnown === true ? this.log : undefined
      const names = this.walked?.between(before.id, after.id)
      const rising = names === undefined || names.size === 0 ? undefined : new RisingDbis(names, before)
      const [first, ...others] = [keys?.sinkSince(before), log?.sinkSince(before, after), rising?.sink].filter(
        (sink) => sink !== undefined
      )
      if (first === undefined) return
      const walk = yield* (yield* Lmdb).changes(before, after, others.reduce(toBoth, first))
      yield* inSlices((deadline) => walk.run(deadline))
      // A merge that has ended meanwhile knows better.
      if (rising !== undefined && this.walked?.between(before.id, after.id) === names)
        this.walked?.followed(rising.stillRising(after), before.id, after.id)
      if (keys?.overflown === true) {
        this.givenUp++
        this.keys = undefined
        yield* Effect.logDebug("More keys have changed than are kept in mind: everything is looked at once")
      }
      if (log?.isKnown === false) {
        this.givenUp++
        yield* Effect.logDebug("More keys have changed than are kept in mind: the next snapshot is a full one")
      }
    },
    Effect.scoped,
    Effect.catchIf(
      (error) => error instanceof LmdbError && error.reason._tag === "ChangesUnknown",
      (error) => this.giveUp(error)
    )
  )

  private readonly sayRoomLow: Effect.Effect<void> = Effect.suspend(() => {
    if (this.saidRoomLow) return Effect.void
    this.saidRoomLow = true
    return Effect.logWarning(
      "The map is nearly full: changes are not followed, since that would take room in it. Set a larger map size"
    )
  })

  private giveUp(error: EngineError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.keys = undefined
      this.log?.clear()
      this.givenUp++
      if (this.said) return Effect.void
      this.said = true
      return Effect.logWarning("Cannot follow what changes, looking at everything instead", { error: error.message })
    })
  }
}
