/**
 * The winners that are still to be put, in the order of the snapshot. A write job puts them in runs of a few hundred,
 * so that it can stop between two runs when its time is up or its transaction has to end.
 */
import type { EntryBatch } from "../../../../domain/snapshot/EntryBatch.ts"
import { stepsPerLook } from "../../Engine.ts"
import type { Section } from "../Winners.ts"

/** Puts the entries `from` to `to` (exclusive) of a batch. */
export type PutEntries = (batch: EntryBatch, from: number, to: number) => void

export class WinnersQueue {
  private readonly sections: ReadonlyArray<Section>
  private sectionIndex = 0
  private batchIndex = 0
  private entryIndex = 0

  constructor(sections: ReadonlyArray<Section>) {
    this.sections = sections
  }

  /** The section that is being put, or undefined when all sections are done. */
  get section(): Section | undefined {
    return this.sections[this.sectionIndex]
  }

  /**
   * True if an earlier section has the same DBI. A snapshot may describe a DBI in several messages, and several
   * snapshots may be merged together.
   */
  get isRepeated(): boolean {
    const name = this.section?.head.name
    return this.sections.findIndex(({ head }) => head.name === name) < this.sectionIndex
  }

  /**
   * Puts the remaining entries of the section, and moves on to the next section. Returns false if the time is up before
   * that.
   */
  putSection(put: PutEntries, deadline: number): boolean {
    const { batches } = this.section!
    for (; this.batchIndex < batches.length; this.batchIndex++) {
      const batch = batches[this.batchIndex]!
      while (this.entryIndex < batch.count) {
        const end = Math.min(batch.count, this.entryIndex + stepsPerLook)
        put(batch, this.entryIndex, end)
        this.entryIndex = end
        if (performance.now() >= deadline) return false
      }
      this.entryIndex = 0
    }
    this.batchIndex = 0
    this.sectionIndex++
    return true
  }
}
