/**
 * The copy main → shadow: it records the application's changes with their time in the shadow DBIs. Source:
 * docs/sync.md, Shadow mode.
 *
 * Differences are found in a read transaction, and LMDB's write lock is held for them alone. If the application has
 * committed in between, another round begins. After three rounds, or with more differences than fit into memory, the
 * walk is done inside the write transaction.
 *
 * A DBI that the application has dropped is not touched: its shadow stays as it is.
 */
import { Clock, Effect } from "effect"
import * as ShadowFlags from "../../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import { type Dbi, Lmdb, type ReadTransaction, type WriteTransaction } from "../../../services/Lmdb.ts"
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import { KeysCursor } from "../changes/KeysCursor.ts"
import type { KeyTracker } from "../changes/KeyTracker.ts"
import { isThere, type PendingKeys } from "../changes/PendingKeys.ts"
import { attempt, sliceMillis, stepsPerLook } from "../Engine.ts"
import { HeaderedValue } from "../HeaderedValue.ts"
import * as MainEntries from "./MainEntries.ts"
import { type Mode, orderOfHead } from "../merge/Mode.ts"
import { type ShadowChanges, ShadowWalk, type Stamp } from "./ShadowWalk.ts"
import { checkShadowFlags, syncedDbis } from "../SyncedDbis.ts"
import { Winners, winnersLimit } from "../merge/Winners.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import { BeginAgain, type WriteJob, State } from "../WriteJob.ts"

/** State of the copies of one database. */
export interface ShadowState {
  /** Whether the first copy, with 1 ns, is done. */
  started: boolean
  /** Id of the transaction up to which main and shadow are equal. */
  copiedThrough: bigint | undefined
  /** Tells which keys the copy has to look at. */
  readonly changes: KeyTracker
}

const mostRounds = 3

const headOf = (dbi: Dbi) => ({ name: dbi.name, flags: BigInt(dbi.flags), transform: "" })

interface DbiWalk {
  readonly walk: ShadowWalk
  /** A key that must be there was not found: the DBI is in another order than its flags say. */
  readonly isInDoubt: () => boolean
}

/** Walks one DBI of a view: all of it, or the `keys` alone that may have changed. */
export const walkOf = (
  view: ReadTransaction,
  dbi: Dbi,
  stamp: Stamp,
  changes: ShadowChanges,
  keys?: KeySet
): DbiWalk => {
  const name = ShadowName.of(dbi.name)
  const shadow = view.dbis.find((other) => other.name === name)
  if (shadow !== undefined) checkShadowFlags(dbi, shadow)
  const order = orderOfHead(headOf(dbi))
  const open = (dbi: DbiName, present: number) => {
    const cursor = view.cursor(dbi)
    return keys === undefined ? cursor : new KeysCursor(cursor, keys, order, present)
  }
  const main = open(dbi.name, isThere)
  const entries = MainEntries.open(dbi, main)
  const shadowCursor = shadow === undefined ? undefined : open(name, 0)
  return {
    walk: new ShadowWalk(dbi, order, stamp, entries, shadowCursor, changes),
    isInDoubt: () => main instanceof KeysCursor && main.doubt
  }
}

/** Adds the differences of one DBI; true when it has to be walked as a whole instead. */
const addDifferences = Effect.fnUntraced(function* (
  view: ReadTransaction,
  dbi: Dbi,
  stamp: Stamp,
  winners: Winners,
  keys: KeySet | undefined
) {
  const changes: ShadowChanges = {
    change: (key, keyStart, keyEnd, value, valueStart, valueEnd, timestampHigh, timestampLow, deleted) =>
      winners.add(key, keyStart, keyEnd, value, valueStart, valueEnd, timestampHigh, timestampLow, deleted)
  }
  const { isInDoubt, walk } = yield* Effect.acquireRelease(
    attempt(() => walkOf(view, dbi, stamp, changes, keys)),
    ({ walk }) => Effect.sync(() => walk.close())
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
  return isInDoubt()
}, Effect.scoped)

/** In a read transaction. `changed`: undefined when everything has to be looked at. */
const findDifferences = Effect.fnUntraced(function* (
  mode: Mode,
  stamp: Stamp,
  view: ReadTransaction,
  changed: PendingKeys | undefined
) {
  const winners = new Winners(winnersLimit)
  let missing = false
  for (const dbi of yield* attempt(() => syncedDbis(view.dbis, mode.check))) {
    const shadow = ShadowName.of(dbi.name)
    const existed = view.dbis.some(({ name }) => name === shadow)
    missing ||= !existed
    winners.section(headOf(dbi), existed)
    // Without a shadow all of its keys are new.
    const keys = existed ? changed?.of(dbi.name) : undefined
    const isInDoubt = yield* addDifferences(view, dbi, stamp, winners, keys)
    // The walk fails, and names the keys.
    if (isInDoubt) yield* addDifferences(view, dbi, stamp, winners, undefined)
  }
  return { id: view.id, winners, hasWork: missing || winners.count > 0 }
})

/** Puts the differences that a read transaction found. */
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
      if (this.entered < this.section && !existed) transaction.create(shadow, ShadowFlags.of(Number(head.flags)))
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

/** Does the whole copy inside a write transaction, in steps: walks the view before it and puts the differences. */
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
      if (there === undefined) transaction.create(shadow, ShadowFlags.of(dbi.flags))
      const append = (there?.entries ?? 0) === 0
      return walkOf(transaction.before, dbi, stamp, {
        change: (key, keyStart, keyEnd, from, valueStart, valueEnd, timestampHigh, timestampLow, deleted) => {
          value.build(from, valueStart, valueEnd, timestampHigh, timestampLow, deleted)
          transaction.put(shadow, key, keyStart, keyEnd, value.bytes, 0, value.length, append)
        }
      }).walk
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

type Differences = Effect.Success<ReturnType<typeof findDifferences>>

/** The id of the transaction through which main was copied; undefined when the application has committed meanwhile. */
const putDifferences = (mode: Mode, stamp: Stamp, writing: WriteTransactions.Writing) =>
  Effect.fnUntraced(function* ({ hasWork, id, winners }: Differences) {
    if (!hasWork) return id
    const job = winners.overflown ? new InsideJob(inside(mode, stamp)) : new DifferencesJob(winners)
    return yield* WriteTransactions.write(writing, job, id, Effect.void).pipe(
      Effect.catchTag("BeginAgain", () => Effect.succeed(undefined))
    )
  })

/** Walks everything inside a write transaction. */
const insideOnly = (mode: Mode, stamp: Stamp, writing: WriteTransactions.Writing) =>
  WriteTransactions.write(writing, new InsideJob(inside(mode, stamp)), 0n, Effect.void).pipe(
    // Thrown by no job of this kind.
    Effect.catchTag("BeginAgain", (again) => Effect.die(again))
  )

/** Repeats a round until the application has not committed in it; then a last one, in which it cannot. */
const untilKept = Effect.fn("ShadowCopy.copy")(function* <E, R, E2, R2>(
  round: Effect.Effect<bigint | undefined, E, R>,
  last: Effect.Effect<bigint, E2, R2>
) {
  for (let rounds = 0; rounds < mostRounds; rounds++) {
    const id = yield* round
    if (id !== undefined) return id
  }
  return yield* last
})

/** The first copy. It leaves changed values as they are, for the next one. */
export const start = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  if (state.started) return
  // What it leaves as it is no key tells: the copy after it looks at everything, too.
  const round = Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(Lmdb, ({ read }) => read),
      (view) => findDifferences(mode, stampFirst, view, undefined)
    )
  )
  yield* untilKept(
    Effect.flatMap(round, putDifferences(mode, stampFirst, writing)),
    insideOnly(mode, stampFirst, writing)
  )
  state.started = true
})

/**
 * Makes the shadow equal to main. Does nothing if nobody has committed since the last copy. Returns the id of the
 * transaction up to which they are equal.
 */
export const update = Effect.fnUntraced(function* (mode: Mode, state: ShadowState, writing: WriteTransactions.Writing) {
  const { lastTransactionId } = yield* Lmdb
  yield* start(mode, state, writing)
  if (state.copiedThrough === undefined || (yield* lastTransactionId) !== state.copiedThrough) {
    const { changes } = state
    const round = Effect.flatMap(stampNow, (stamp) =>
      changes.look((view, changed) => findDifferences(mode, stamp, view, changed), putDifferences(mode, stamp, writing))
    )
    const last = Effect.flatMap(stampNow, (stamp) => changes.lookAtAll(insideOnly(mode, stamp, writing)))
    state.copiedThrough = yield* untilKept(round, last)
  }
  return state.copiedThrough
})

/** Does the same inside a write transaction, for callers that continue in it. */
export const insideNow = (mode: Mode) => Effect.map(stampNow, (stamp) => inside(mode, stamp))
