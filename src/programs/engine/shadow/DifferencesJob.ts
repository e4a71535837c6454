/** Puts the differences between main and its shadow, which a read transaction has found, in one write transaction. */
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import * as ShadowFlags from "../../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { WriteTransaction } from "../../../services/Lmdb.ts"
import { HeaderedValue } from "../HeaderedValue.ts"
import type { Section, Winners } from "../merge/Winners.ts"
import { type PutEntries, WinnersQueue } from "../merge/write/WinnersQueue.ts"
import { BeginAgain, State, type WriteJob } from "../WriteJob.ts"

/** `header_extra_padding_block` applies to merges of snapshots only. */
export const copyPaddingBlocks = 0

export class DifferencesJob implements WriteJob {
  /** Always 0, because only entries of snapshots are counted. */
  readonly written = 0
  readonly divisible = false
  private readonly queue: WinnersQueue
  private readonly value = new HeaderedValue(copyPaddingBlocks)
  private transaction: WriteTransaction | undefined
  /** Puts entries of the section, or undefined until its shadow exists. */
  private put: PutEntries | undefined

  constructor(winners: Winners) {
    this.queue = new WinnersQueue(winners.sections)
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    if (!contiguous) throw new BeginAgain({ moved: true })
    this.transaction = transaction
    this.value.begin(transaction.id)
  }

  detach(): void {
    this.transaction = undefined
    this.put = undefined
  }

  advance(deadline: number): number {
    for (;;) {
      const { section } = this.queue
      if (section === undefined) return State.End
      this.put ??= this.into(section)
      if (!this.queue.putSection(this.put, deadline)) return State.Paused
      this.put = undefined
    }
  }

  private into({ existed, head }: Section): PutEntries {
    const { value } = this
    const transaction = this.transaction!
    const shadow = ShadowName.of(head.name)
    if (!existed) transaction.create(shadow, ShadowFlags.of(Number(head.flags)))
    return (batch: EntryBatch, from: number, to: number) => {
      for (let i = from; i < to; i++) {
        value.buildFrom(batch, i, batch.flags[i] === 1)
        transaction.put(shadow, batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!, value.bytes, 0, value.length, false)
      }
    }
  }
}
