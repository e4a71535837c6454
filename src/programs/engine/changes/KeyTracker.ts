/**
 * Tracks which keys have changed in the application's DBIs and in their shadows, without reading those that have not.
 * It has two users: the copy main → shadow (`look`) and delta snapshots (`mark`).
 *
 * It keeps a read transaction open, the pin. When LMDB's last id has changed, it opens a newer one, compares the two
 * (`Lmdb.changes`), adds the keys to the pending set and to the log, and makes the newer one the pin. It does so at
 * each poll, so the pin never protects more pages than are written between two polls, or during one copy or dump.
 *
 *     unknown ── look, mark ──▶ known, with a pin ── poll, look, mark: compare, move the pin ──▶ known
 *        ▲                                              │
 *        └── too many keys, ReadersFull, ChangesUnknown, little room in the map, or a look has failed while the
 *            changes were unknown
 *
 * Guarantees: while the changes are known, each entry that was put, changed or removed since the last successful look
 * is among the pending keys, or the next comparison adds it. The same holds for the log and its bookmarks. Not
 * guaranteed: that a pending key has really changed.
 *
 * While the changes are unknown, there is no pin, and the result is undefined: all entries must then be compared once.
 */
import { Clock, Effect, Exit, Semaphore } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { trackedShareMax } from "../../../domain/snapshot/DeltaLimits.ts"
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
  /** Time at which the pin was opened, in nanoseconds of the monotonic clock. */
  readonly since: bigint
  /** True if the map of the environment has so little room that a pin may fill it. */
  readonly isRoomLow: boolean
}

/** A dump that becomes a bookmark of the log. */
export interface Mark {
  readonly timestampNano: bigint
  /** Times of the bookmarks that are still needed. */
  readonly keptNano: ReadonlyArray<bigint>
  /** Time of the bookmark that a delta starts from, or else from a later one. Absent if no delta is requested. */
  readonly fromNano?: bigint | undefined
}

/** The state of a dump, which is valid until the scope closes. */
export interface Marked {
  readonly view: ReadTransaction
  /** The changes, or undefined if they are unknown or not requested. */
  readonly changes: ChangesSince | undefined
}

/**
 * Share of the map that must be free for a pin. Writes while it is open need new pages, even if as many become free at
 * the same time. With an eighth, 128 MiB of a map of 1 GiB, an application can write that much between two polls before
 * its map is full sooner than without the daemon.
 */
const roomShare = 1 / 8

/** True for errors after which tracking is given up, so that all entries are compared instead. */
const isGivenUp = (error: unknown): error is LmdbError =>
  error instanceof LmdbError && (error.reason._tag === "ReadersFull" || error.reason._tag === "ChangesUnknown")

/** Number of entries of the synced DBIs, without their shadows. */
const entriesOf = ({ dbis }: ReadTransaction): number =>
  dbis.reduce((sum, { entries, name }) => (DbiName.isPrivate(name) ? sum : sum + entries), 0)

/** Passes the changes to two sinks, one of which may skip what the other does not. */
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
      return isOneIn || isOtherIn
    },
    compared: (share) => {
      if (isOneIn) isOneIn = one.compared?.(share) !== false
      if (isOtherIn) isOtherIn = other.compared?.(share) !== false
      return isOneIn || isOtherIn
    }
  }
}

export class KeyTracker {
  private pin: Pin | undefined
  /** The pending keys for the copy, or undefined if they are unknown. */
  private keys: PendingKeys | undefined
  /** The log for deltas, or undefined if there are no deltas. */
  private readonly log: ChangeLog | undefined
  private readonly walked: WalkedDbis | undefined
  private givenUp = 0
  /** True once it was logged that changes cannot be tracked. */
  private said = false
  private saidRoomLow = false
  /** Ensures that only one fiber moves the pin at a time. */
  private readonly turn = Semaphore.makeUnsafe(1)

  /** Creates a tracker. The knowledge in `walked` is extended over the application's changes. */
  constructor(log?: ChangeLog, walked?: WalkedDbis) {
    this.log = log
    this.walked = walked
  }

  private get isKnown(): boolean {
    return this.keys !== undefined || this.log?.isKnown === true
  }

  /** Moves the pin. Called at each poll; does nothing while a look is in progress. */
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
   * Passes the newest state and the pending keys, or undefined if they are not known, to `find`, and then its result to
   * `apply`. The keys stay pending unless `apply` succeeds with a result other than undefined.
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

  /** Does the same for an `apply` that compares all entries itself. */
  lookAtAll<B, E, R>(apply: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> {
    return this.whileTaken((take) => Effect.andThen(Effect.sync(take), apply))
  }

  /**
   * Returns the newest state and sets a bookmark at it, or returns undefined if changes cannot be tracked from there.
   * No bookmark is set if a delta is requested and its content is unknown.
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
        log.mark({ timestampNano, transactionId: shared.view.id }, trackedShareMax * entriesOf(shared.view))
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
        // Without a pin, changes from now on are not known.
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

  readonly tracking: Effect.Effect<Omit<typeof Tracking.Type, "renewalMillis">> = Effect.map(
    Clock.monotonicTimeNanos,
    (now) => ({
      pinMillis: this.pin === undefined ? 0 : Number((now - this.pin.since) / 1_000_000n),
      pendingKeys: (this.keys?.count ?? 0) + (this.log?.count ?? 0),
      pendingBytes: (this.keys?.held ?? 0) + (this.log?.held ?? 0),
      givenUp: this.givenUp
    })
  )

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

  /** Adds the differences to the pending keys and to the log, as far as these are known. */
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
      // A merge that has ended in the meantime has newer knowledge.
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
      "The map is nearly full: changes are not tracked, because that would need room in it. Set a larger map size"
    )
  })

  private giveUp(error: EngineError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.keys = undefined
      this.log?.clear()
      this.givenUp++
      if (this.said) return Effect.void
      this.said = true
      return Effect.logWarning("Cannot track changes, comparing all entries instead", { error: error.message })
    })
  }
}
