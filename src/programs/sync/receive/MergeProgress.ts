/**
 * Through which time everything of each instance was merged by this process. Deltas that were merged with a gap before
 * them do not count: what they bring is merged, but what is missing is not. Plain state of one database.
 */
import type * as SnapshotName from "../../../domain/snapshot/SnapshotName.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

export class MergeProgress {
  private readonly ownInstance: string
  /** By instance: the object up to whose time everything was merged. */
  private readonly newest = new Map<string, SnapshotName.SnapshotName>()
  /** Names of objects that were merged on a path and are listed, and those of `newest`. */
  private readonly names = new Set<string>()
  /** Names of listed deltas that were merged with a gap before them. */
  private readonly beyond = new Set<string>()

  constructor(ownInstance: string) {
    this.ownInstance = ownInstance
  }

  /**
   * Returns the time up to which everything of the instance is merged; undefined when nothing is, as far as is known.
   * `usable`: objects of its that may be merged, oldest first.
   *
   * When all objects of another instance are older than what was merged, the latter does not count, since these may
   * hold what that did not: the instance's clock was ahead, was put right, and somebody has removed the object with the
   * future in its name. Then those count that were merged and are listed. Of our own the names always rise.
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

  /** `counts`: whether its time may count as reached. */
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

  /** Forgets names that are not listed, but for the newest of each instance: a listing may lag behind. */
  keepOnly(isListed: (name: string) => boolean): void {
    for (const name of this.names) if (!isListed(name)) this.names.delete(name)
    for (const { text } of this.newest.values()) this.names.add(text)
    for (const name of this.beyond) if (!isListed(name)) this.beyond.delete(name)
  }
}
