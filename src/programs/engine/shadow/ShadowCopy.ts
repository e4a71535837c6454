/**
 * The copy main → shadow: gives what the application has changed its time, in the shadow DBIs. Source: docs/sync.md,
 * Shadow mode.
 *
 * What differs is found in a read transaction; LMDB's write lock is held for the differences alone, and given up for
 * another round when the application has committed in between. After three rounds, or when there are more differences
 * than fit into memory, the walk is done inside the write transaction.
 *
 * A DBI that the application has dropped is not touched: its shadow stays as it is.
 */
import { Clock, Effect } from "effect"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import { type Dbi, Lmdb, type ReadTransaction, type WriteTransaction } from "../../../services/Lmdb.ts"
import { attempt, sliceMillis, stepsPerLook } from "../Engine.ts"
import { HeaderedValue } from "../HeaderedValue.ts"
import * as MainEntries from "./MainEntries.ts"
import { type Mode, orderOfHead } from "../merge/Mode.ts"
import { type ShadowChanges, ShadowWalk, type Stamp } from "./ShadowWalk.ts"
import { checkShadowFlags, shadowFlags, syncedDbis } from "../SyncedDbis.ts"
import { Winners, winnersLimit } from "../merge/Winners.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import { BeginAgain, type WriteJob, State } from "../WriteJob.ts"

/** Of the copies of one database. */
export interface ShadowState {
  /** The first copy, with 1 ns, is done. */
  started: boolean
  /** Main is what lives in the shadow, as of this transaction. */
  copiedThrough: bigint | undefined
}

const mostRounds = 3

const headOf = (dbi: Dbi) => ({ name: dbi.name, flags: BigInt(dbi.flags), transform: "" })

/** Walks one DBI of a view. */
const walkOf = (view: ReadTransaction, dbi: Dbi, stamp: Stamp, changes: ShadowChanges): ShadowWalk => {
  const name = ShadowName.of(dbi.name)
  const shadow = view.dbis.find((other) => other.name === name)
  if (shadow !== undefined) checkShadowFlags(dbi, shadow)
  const main = MainEntries.open(dbi, view.cursor(dbi.name))
  return new ShadowWalk(
    dbi,
    orderOfHead(headOf(dbi)),
    stamp,
    main,
    shadow === undefined ? undefined : view.cursor(name),
    changes
  )
}

/** In a read transaction. */
const findDifferences = Effect.fnUntraced(function* (mode: Mode, stamp: Stamp) {
  const transaction = yield* (yield* Lmdb).read
  const winners = new Winners(winnersLimit)
  const changes: ShadowChanges = {
    change: (key, keyStart, keyEnd, value, valueStart, valueEnd, timestampHigh, timestampLow, deleted) =>
      winners.add(key, keyStart, keyEnd, value, valueStart, valueEnd, timestampHigh, timestampLow, deleted)
  }
  let missing = false
  for (const dbi of yield* attempt(() => syncedDbis(transaction.dbis, mode.check))) {
    const shadow = ShadowName.of(dbi.name)
    const existed = transaction.dbis.some(({ name }) => name === shadow)
    missing ||= !existed
    winners.section(headOf(dbi), existed)
    const walk = yield* Effect.acquireRelease(
      attempt(() => walkOf(transaction, dbi, stamp, changes)),
      (walk) => Effect.sync(() => walk.close())
    )
    while (!winners.overflown) {
      const end = performance.now() + sliceMillis
      const done = yield* attempt(() => {
        do if (walk.run(stepsPerLook)) return true
        while (performance.now() < end && !winners.overflown)
        return false
      })
      if (done) break
      yield* Effect.yieldNow
    }
    yield* Effect.sync(() => walk.close())
  }
  return { id: transaction.id, winners, hasWork: missing || winners.count > 0 }
}, Effect.scoped)

/** Puts differences that were found before. */
class DifferencesJob implements WriteJob {
  readonly written = 0
  readonly divisible = false
  private readonly winners: Winners
  private readonly value: HeaderedValue
  private transaction: WriteTransaction | undefined
  private section = 0
  private batch = 0
  private index = 0
  private entered = -1

  constructor(winners: Winners) {
    this.winners = winners
    // `header_extra_padding_block` is of merges from snapshots.
    this.value = new HeaderedValue(0)
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    if (!contiguous) throw new BeginAgain({ moved: true })
    this.transaction = transaction
    this.value.begin(transaction.id)
  }

  detach(): void {
    this.transaction = undefined
  }

  advance(deadline: number): number {
    const { value } = this
    const transaction = this.transaction!
    for (; this.section < this.winners.sections.length; this.section++) {
      const { batches, existed, head } = this.winners.sections[this.section]!
      const shadow = ShadowName.of(head.name)
      if (this.entered < this.section && !existed) transaction.create(shadow, shadowFlags(Number(head.flags)))
      this.entered = this.section
      for (; this.batch < batches.length; this.batch++) {
        const batch = batches[this.batch]!
        while (this.index < batch.count) {
          const end = Math.min(batch.count, this.index + stepsPerLook)
          for (let i = this.index; i < end; i++) {
            value.buildFrom(batch, i, batch.flags[i] === 1)
            transaction.put(
              shadow,
              batch.bytes,
              batch.keyStart[i]!,
              batch.keyEnd[i]!,
              value.bytes,
              0,
              value.length,
              false
            )
          }
          this.index = end
          if (performance.now() >= deadline) return State.Paused
        }
        this.index = 0
      }
      this.batch = 0
    }
    return State.End
  }
}

/** The whole copy inside a write transaction, in steps: walks the view of before it and puts what differs. */
const inside =
  (mode: Mode, stamp: Stamp) =>
  (transaction: WriteTransaction): ((steps: number) => boolean) => {
    const dbis = syncedDbis(transaction.before.dbis, mode.check)
    const value = new HeaderedValue(0)
    value.begin(transaction.id)
    let next = 0
    let walk: ShadowWalk | undefined
    const open = (dbi: Dbi): ShadowWalk => {
      const shadow = ShadowName.of(dbi.name)
      const there = transaction.before.dbis.find(({ name }) => name === shadow)
      if (there === undefined) transaction.create(shadow, shadowFlags(dbi.flags))
      const append = (there?.entries ?? 0) === 0
      return walkOf(transaction.before, dbi, stamp, {
        change: (key, keyStart, keyEnd, from, valueStart, valueEnd, timestampHigh, timestampLow, deleted) => {
          value.build(from, valueStart, valueEnd, timestampHigh, timestampLow, deleted)
          transaction.put(shadow, key, keyStart, keyEnd, value.bytes, 0, value.length, append)
        }
      })
    }
    return (steps) => {
      if (walk === undefined) {
        const dbi = dbis[next++]
        if (dbi === undefined) return true
        walk = open(dbi)
      }
      if (walk.run(steps)) {
        walk.close()
        walk = undefined
      }
      return false
    }
  }

class InsideJob implements WriteJob {
  readonly written = 0
  readonly divisible = false
  private readonly start: (transaction: WriteTransaction) => (steps: number) => boolean
  private run: ((steps: number) => boolean) | undefined

  constructor(start: (transaction: WriteTransaction) => (steps: number) => boolean) {
    this.start = start
  }

  attach(transaction: WriteTransaction): void {
    this.run = this.start(transaction)
  }

  detach(): void {
    this.run = undefined
  }

  advance(deadline: number): number {
    while (!this.run!(stepsPerLook)) if (performance.now() >= deadline) return State.Paused
    return State.End
  }
}

const stampNow = Effect.map(Clock.currentTimeNanos, (now): Stamp => ({
  first: false,
  high: Number(now >> 32n),
  low: Number(now & 0xffffffffn)
}))

const stampFirst: Stamp = { first: true, high: 0, low: 1 }

/** One round: undefined when the application has committed in between. */
const round = Effect.fnUntraced(function* (
  mode: Mode,
  stamp: Stamp,
  writing: WriteTransactions.Writing,
  last: boolean
) {
  if (last) return yield* WriteTransactions.write(writing, new InsideJob(inside(mode, stamp)), 0n, Effect.void)
  const { hasWork, id, winners } = yield* findDifferences(mode, stamp)
  if (!hasWork) return id
  const job = winners.overflown ? new InsideJob(inside(mode, stamp)) : new DifferencesJob(winners)
  return yield* WriteTransactions.write(writing, job, id, Effect.void).pipe(
    Effect.catchTag("BeginAgain", () => Effect.succeed(undefined))
  )
})

/** The id of the transaction through which main was copied. */
const copy = Effect.fn("ShadowCopy.copy")(function* (
  mode: Mode,
  writing: WriteTransactions.Writing,
  stamp: Effect.Effect<Stamp>
) {
  for (let rounds = 0; ; rounds++) {
    const id = yield* round(mode, yield* stamp, writing, rounds === mostRounds).pipe(
      // Thrown by no job but `round`'s own, which catches it.
      Effect.catchTag("BeginAgain", (again) => Effect.die(again))
    )
    if (id !== undefined) return id
  }
})

/** The first copy. It leaves changed values as they are, for the next one. */
export const start = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  if (state.started) return
  yield* copy(mode, writing, Effect.succeed(stampFirst))
  state.started = true
})

/**
 * Makes the shadow what main is; nothing when nobody has committed since it was. The id of the transaction through
 * which it is.
 */
export const update = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  const { lastTransactionId } = yield* Lmdb
  yield* start(mode, state, writing)
  if (state.copiedThrough === undefined || (yield* lastTransactionId) !== state.copiedThrough) {
    state.copiedThrough = yield* copy(mode, writing, stampNow)
  }
  return state.copiedThrough
})

/** The same inside a write transaction, for whoever goes on in it. */
export const insideNow = (mode: Mode) => Effect.map(stampNow, (stamp) => inside(mode, stamp))
