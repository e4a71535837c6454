/**
 * What only the end of a snapshot tells for certain. A first reading takes it for granted, and may have to begin again.
 */
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"

export interface SnapshotKnowledge {
  readonly formatVersion: number
  readonly heads: ReadonlyArray<DbiHead>
}
