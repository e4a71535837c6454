/**
 * The whole copy main → shadow inside a write transaction, during which the application cannot commit. It walks the
 * view from before the transaction, and puts the differences as it finds them.
 */
import * as ShadowFlags from "../../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { Dbi, WriteTransaction } from "../../../services/Lmdb.ts"
import { runUntil, type SteppedWork } from "../Engine.ts"
import { HeaderedValue } from "../HeaderedValue.ts"
import type { Mode } from "../merge/Mode.ts"
import { syncedDbis } from "../SyncedDbis.ts"
import { State, type WriteJob } from "../WriteJob.ts"
import { copyPaddingBlocks } from "./DifferencesJob.ts"
import { walkOf } from "./ShadowDifferences.ts"
import type { ShadowWalk, Stamp } from "./ShadowWalk.ts"

/** Returns a function that begins the copy in a transaction. */
export const copyIn =
  (mode: Mode, stamp: Stamp) =>
  (transaction: WriteTransaction): SteppedWork => {
    const { before } = transaction
    const dbis = syncedDbis(before.dbis, mode.check)
    const value = new HeaderedValue(copyPaddingBlocks)
    value.begin(transaction.id)
    let next = 0
    let walk: ShadowWalk | undefined
    const open = (dbi: Dbi): ShadowWalk => {
      const name = ShadowName.of(dbi.name)
      const shadow = before.dbis.find((other) => other.name === name)
      if (shadow === undefined) transaction.create(name, ShadowFlags.of(dbi.flags))
      const append = (shadow?.entries ?? 0) === 0
      return walkOf(before, dbi, stamp, {
        change: (key, keyStart, keyEnd, from, valueStart, valueEnd, timestampHigh, timestampLow, deleted) => {
          value.build(from, valueStart, valueEnd, timestampHigh, timestampLow, deleted)
          transaction.put(name, key, keyStart, keyEnd, value.bytes, 0, value.length, append)
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

/** A write job that consists only of the copy. */
export class WholeCopyJob implements WriteJob {
  /** Always 0, because only entries of snapshots are counted. */
  readonly written = 0
  readonly divisible = false
  private readonly start: (transaction: WriteTransaction) => SteppedWork
  private copy: SteppedWork | undefined

  constructor(mode: Mode, stamp: Stamp) {
    this.start = copyIn(mode, stamp)
  }

  attach(transaction: WriteTransaction): void {
    this.copy = this.start(transaction)
  }

  detach(): void {
    this.copy = undefined
  }

  advance(deadline: number): number {
    return runUntil(this.copy!, deadline) ? State.End : State.Paused
  }
}
