/**
 * Counts for how many listings in a row an instance has had deltas that no path leads to. A listing may lag behind, so
 * the object before them is waited for at first; then the gap is open: they are merged as they are, and it is reported.
 */

/** Listings in a row in which an object may be missing between what was merged of an instance and its deltas. */
const listingsOfGap = 10

interface Gap {
  /** Time up to which the instance was merged, in nanoseconds. A new gap begins where that has changed. */
  readonly throughNano: bigint | undefined
  /** Listings in a row that have shown the gap. */
  readonly listings: number
}

export class DeltaGaps {
  private readonly gaps = new Map<string, Gap>()

  /** For each listing that shows the gap. */
  count(instance: string, throughNano: bigint | undefined): void {
    const known = this.gaps.get(instance)
    const listings = known?.throughNano === throughNano ? (known?.listings ?? 0) + 1 : 1
    this.gaps.set(instance, { throughNano, listings })
  }

  /** The instance has no gap. */
  close(instance: string): void {
    this.gaps.delete(instance)
  }

  /** Whether what is missing was waited for long enough. */
  isOpen(instance: string): boolean {
    return (this.gaps.get(instance)?.listings ?? 0) >= listingsOfGap
  }

  /** Forgets instances that are not listed. */
  keepOnly(isListed: (instance: string) => boolean): void {
    for (const instance of this.gaps.keys()) if (!isListed(instance)) this.gaps.delete(instance)
  }
}
