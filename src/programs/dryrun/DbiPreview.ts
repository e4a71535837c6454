/** Counts what merging all snapshots would change in one DBI of the LMDB, and what our next snapshot would contain. */
import type { KeyOrder } from "../../domain/lmdb/KeyOrder.ts"
import { compareVersions } from "../../domain/lmdb/VersionOrder.ts"
import { DbiComparison, type PlaceCount, type PlacedSource } from "../verify/DbiComparison.ts"

/** Indices of places, or -1 if there is none. */
export interface PreviewPlaces {
  /** The LMDB. */
  readonly local: number
  /** Our own newest state in the bucket. */
  readonly own: number
}

export class DbiPreview extends DbiComparison {
  /** For each place, the number of entries whose version from there would be put into the LMDB. */
  readonly taken: Array<number>
  /** Number of keys that would be added to the LMDB. */
  added = 0
  /** Number of keys for which our own newest state has another version, or none. */
  unsent = 0
  private readonly local: number
  private readonly own: number

  constructor(
    order: KeyOrder,
    counts: ReadonlyArray<PlaceCount>,
    sources: ReadonlyArray<PlacedSource>,
    cutOffNano: bigint,
    { local, own }: PreviewPlaces
  ) {
    super(order, counts, sources, [], cutOffNano)
    this.taken = counts.map(() => 0)
    this.local = local
    this.own = own
  }

  /** Without an LMDB, every key is new, even if all instances have the same version of it. */
  protected override areSame(): boolean {
    return this.local >= 0 && super.areSame()
  }

  protected override compare(): void {
    const { local, own, sources, winner } = this
    const here = local < 0 ? -1 : winner[local]!
    const best = this.best(here)
    if (best < 0) return
    const after = winner[best]!
    if (best !== local) {
      this.taken[best]!++
      if (here < 0) this.added++
    }
    const sent = own < 0 ? -1 : winner[own]!
    if (own >= 0 && (sent < 0 || compareVersions(sources[after]!, sources[sent]!) !== 0)) this.unsent++
  }

  /** Returns the place whose version wins, or the LMDB if its version is the same, or -1 if nothing would be put. */
  private best(here: number): number {
    const { isOld, local, sources, winner } = this
    let best = here < 0 ? -1 : local
    for (let place = 0; place < winner.length; place++) {
      const source = winner[place]!
      // An old tombstone is not added if there is no entry.
      if (place === local || source < 0 || (here < 0 && isOld[place] === 1)) continue
      if (best < 0 || compareVersions(sources[source]!, sources[winner[best]!]!) > 0) best = place
    }
    return best
  }
}
