/**
 * Records the time up to which this process has merged everything of each instance. Deltas that were merged after a gap
 * do not count, because the missing entries were not merged. Plain state of one database.
 */
import type * as SnapshotName from "../../../domain/snapshot/SnapshotName.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

export class MergeProgress {
  private readonly ownInstance: string
  /** For each instance, the object up to whose time everything was merged. */
  private readonly newest = new Map<string, SnapshotName.SnapshotName>()
  /** Names of objects that were merged on a path and are listed, and those of `newest`. */
  private readonly names = new Set<string>()
  /** Names of listed deltas that were merged after a gap. */
  private readonly beyond = new Set<string>()

  constructor(ownInstance: string) {
    this.ownInstance = ownInstance
  }

  /**
   * Returns the time up to which everything of the instance is merged, or undefined if nothing is known to be merged.
   * `usable` contains the objects of the instance that may be merged, oldest first.
   *
   * If all objects of another instance are older than the merged one, its clock was ahead and has been corrected, and
   * an operator has removed the object with the future time. The remaining objects may then contain entries that the
   * merged one did not, so only listed objects that were merged count. The times of our own names always increase.
   */
  through(instance: string, usable: ReadonlyArray<Snapshot>): bigint | undefined {
    const merged = this.newest.get(instance)?.timestampNano
    const newest = usable.at(-1)?.name.timestampNano
    if (instance !== this.ownInstance && (newest === undefined || (merged !== undefined && newest >= merged)))
      return merged
    const listed = usable.findLast(({ name }) => this.names.has(name.text))?.name.timestampNano
    return instance === this.ownInstance && merged !== undefined && (listed === undefined || listed < merged)
      ? merged
      : listed
  }

  /** Records an object that was merged on a path. `counts` tells whether its time counts as reached. */
  addOnPath(name: SnapshotName.SnapshotName, counts: boolean): void {
    this.names.add(name.text)
    if (counts) this.newest.set(name.instance, name)
  }

  addBeyondGap(name: SnapshotName.SnapshotName): void {
    this.beyond.add(name.text)
  }

  isMergedBeyondGap({ object }: Snapshot): boolean {
    return this.beyond.has(object.name)
  }

  /** Forgets names that are not listed, except for the newest of each instance, because a listing may lag behind. */
  keepOnly(isListed: (name: string) => boolean): void {
    for (const name of this.names) if (!isListed(name)) this.names.delete(name)
    for (const { text } of this.newest.values()) this.names.add(text)
    for (const name of this.beyond) if (!isListed(name)) this.beyond.delete(name)
  }
}
