/**
 * Facts about a snapshot that are certain only at its end. A first reading makes assumptions about them, and starts
 * again if these were wrong.
 */
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"

export interface SnapshotKnowledge {
  readonly formatVersion: number
  readonly heads: ReadonlyArray<DbiHead>
}
