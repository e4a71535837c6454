/**
 * Facts about a snapshot that are known for certain only at its end. The first pass makes assumptions about them. If
 * they turn out to be wrong, a second pass is needed.
 */
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"

export interface SnapshotKnowledge {
  readonly formatVersion: number
  readonly heads: ReadonlyArray<DbiHead>
}
