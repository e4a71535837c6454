/**
 * Counts for how many listings in a row an instance has had deltas that no path leads to. A listing may lag behind, so
 * the object before them is waited for at first. Then the gap is open: it is reported, and the deltas are merged
 * anyway.
 */

/**
 * Number of listings in a row in which an object may be missing between the merged state of an instance and its deltas.
 */
const listingsOfGap = 10

interface Gap {
  /** Time up to which the instance was merged, in nanoseconds. If it has changed, a new gap begins. */
  readonly throughNano: bigint | undefined
  /** Number of listings in a row that have shown the gap. */
  readonly listings: number
}

export class DeltaGaps {
  private readonly gaps = new Map<string, Gap>()

  /** Counts a listing that shows the gap. */
  count(instance: string, throughNano: bigint | undefined): void {
    const known = this.gaps.get(instance)
    const listings = known?.throughNano === throughNano ? (known?.listings ?? 0) + 1 : 1
    this.gaps.set(instance, { throughNano, listings })
  }

  /** Records that the instance has no gap. */
  close(instance: string): void {
    this.gaps.delete(instance)
  }

  /** True if the missing object was waited for long enough. */
  isOpen(instance: string): boolean {
    return (this.gaps.get(instance)?.listings ?? 0) >= listingsOfGap
  }

  /** Forgets instances that are not listed. */
  keepOnly(isListed: (instance: string) => boolean): void {
    for (const instance of this.gaps.keys()) if (!isListed(instance)) this.gaps.delete(instance)
  }
}
