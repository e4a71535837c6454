/** Finds the differences between main and its shadow in a read transaction, without LMDB's write lock. */
import { Effect } from "effect"
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import { KeysCursor } from "../changes/KeysCursor.ts"
import { isThere, type PendingKeys } from "../changes/PendingKeys.ts"
import { attempt, sliceMillis, stepsPerLook } from "../Engine.ts"
import { type Mode, orderOfHead } from "../merge/Mode.ts"
import { Winners, winnersLimit } from "../merge/Winners.ts"
import { checkShadowFlags, syncedDbis } from "../SyncedDbis.ts"
import * as MainEntries from "./MainEntries.ts"
import { type ShadowChanges, ShadowWalk, type Stamp } from "./ShadowWalk.ts"

export interface Differences {
  /** Id of the read transaction. */
  readonly id: bigint
  /** The entries to put into the shadows. */
  readonly winners: Winners
  /** True if there is anything to write: an entry, or a shadow that does not exist. */
  readonly hasWork: boolean
}

const headOf = (dbi: Dbi) => ({ name: dbi.name, flags: BigInt(dbi.flags), transform: "" })

interface DbiWalk {
  readonly walk: ShadowWalk
  /**
   * Returns true if a key that must exist was not found, which means that the keys are not in the order that the flags
   * of the DBI imply.
   */
  readonly isInDoubt: () => boolean
}

/** Walks one DBI of a view, either as a whole or only the `keys` that may have changed. */
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

/** Adds the differences of one DBI to `winners`. Returns true if the DBI must be walked as a whole instead. */
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

/**
 * Finds the differences of all DBIs. `changed` contains the keys that may have changed, or is undefined if all keys
 * must be examined.
 */
export const find = Effect.fnUntraced(function* (
  mode: Mode,
  stamp: Stamp,
  view: ReadTransaction,
  changed: PendingKeys | undefined
) {
  const winners = new Winners(winnersLimit)
  let isShadowMissing = false
  for (const dbi of yield* attempt(() => syncedDbis(view.dbis, mode.check))) {
    const shadow = ShadowName.of(dbi.name)
    const existed = view.dbis.some(({ name }) => name === shadow)
    isShadowMissing ||= !existed
    winners.section(headOf(dbi), existed)
    // Without a shadow, all keys of the DBI are new.
    const keys = existed ? changed?.of(dbi.name) : undefined
    const isInDoubt = yield* addDifferences(view, dbi, stamp, winners, keys)
    // The walk over the whole DBI fails, and its error names the keys.
    if (isInDoubt) yield* addDifferences(view, dbi, stamp, winners, undefined)
  }
  return { id: view.id, winners, hasWork: isShadowMissing || winners.count > 0 } satisfies Differences
})
