/**
 * Finds the path from what was merged of an instance to its newest state: which of its objects to merge, and in which
 * order. A full snapshot leads to its time T from any state. A delta leads to T from its start F or any later time.
 *
 *     merged through ──•                     d1          d2            d3
 *                      |   d1 = (F, T]  ●━━━━━━━━━━●━━━━━━━━━━●━ ━ ━ ━ ━ ━ ━●
 *                      |   full         ════════════════════════▶           |
 *                                                                beyond a gap
 *
 * A delta leads past a full snapshot only if that snapshot was merged. No process sends a delta that spans a full
 * snapshot of its own. Therefore another process has sent the full snapshot, which may contain entries that no delta
 * contains.
 *
 * The path ends at the latest time that can be reached. Of all paths that end there, it is the cheapest one, so a
 * receiver that follows the deltas never loads a full snapshot for a change that a few small objects contain. The
 * module is pure. Source: docs/sync.md, Receiving.
 */
import type { Snapshot } from "./ListedSnapshots.ts"

export interface SnapshotPath {
  /** Objects to merge, in order. */
  readonly steps: ReadonlyArray<Snapshot>
  /** Deltas that are later than the end of the path, oldest first, because an object before them is missing. */
  readonly beyond: ReadonlyArray<Snapshot>
}

/**
 * Number of bytes that are added to the size of each object for its request, merge and commit. A small full snapshot is
 * therefore preferred to many deltas, and a large one is used only where no deltas lead.
 */
const bytesPerObject = 65_536

/** A time that can be reached, and how. */
interface Place {
  /** The time in nanoseconds, or undefined at the beginning of a path when nothing is merged yet. */
  readonly at: bigint | undefined
  readonly cost: number
  /** The object that leads to this time, and the place that it starts from. Undefined at the beginning of a path. */
  readonly last: { readonly snapshot: Snapshot; readonly before: Place } | undefined
}

/** True if an object that starts at `fromNano`, or anywhere if that is undefined, leads on from a place. */
const leadsOn = (fromNano: bigint | undefined, { at }: Place): boolean =>
  fromNano === undefined || (at !== undefined && fromNano <= at)

/**
 * Returns the cheapest place from which an object leads on. The places are sorted by time and by cost, so it is the
 * first one that is late enough.
 */
const startOf = (fromNano: bigint | undefined, places: ReadonlyArray<Place>): Place | undefined => {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (leadsOn(fromNano, places[middle]!)) high = middle
    else low = middle + 1
  }
  return places[low]
}

/** Returns the objects that can be part of a path: those after what was merged, or from the newest full snapshot on. */
const candidates = (snapshots: ReadonlyArray<Snapshot>, through: bigint | undefined): ReadonlyArray<Snapshot> => {
  const before =
    through === undefined
      ? snapshots.findLastIndex(({ name }) => name.kind === "snapshot") - 1
      : snapshots.findLastIndex(({ name }) => name.timestampNano <= through)
  return snapshots.slice(Math.max(0, before + 1))
}

/**
 * Returns the path through the objects of one instance, which are given oldest first. `through` is the time up to which
 * everything of the instance is merged, or undefined if nothing is.
 */
export const pathOf = (snapshots: ReadonlyArray<Snapshot>, through: bigint | undefined): SnapshotPath => {
  const start: Place = { at: through, cost: 0, last: undefined }
  // A place that is earlier than another one, but not cheaper, is never on the cheapest path.
  const places = [start]
  const later = candidates(snapshots, through)
  let newestFull = 0n
  let fullBefore = 0n
  for (const snapshot of later) {
    const { fromNano, kind, timestampNano: at } = snapshot.name
    if (newestFull < at) fullBefore = newestFull
    if (kind === "snapshot") newestFull = at
    const before = startOf(fromNano === undefined || fromNano > fullBefore ? fromNano : fullBefore, places)
    if (before === undefined) continue
    const cost = before.cost + snapshot.object.size + bytesPerObject
    const newest = places.at(-1)!
    if (newest.at === at && newest.cost <= cost) continue
    while (places.at(-1)!.cost >= cost) places.pop()
    places.push({ at, cost, last: { snapshot, before } })
  }
  const steps: Array<Snapshot> = []
  const end = places.at(-1)!
  for (let place = end; place.last !== undefined; place = place.last.before) steps.push(place.last.snapshot)
  const beyond = later.filter(({ name }) => end.at === undefined || name.timestampNano > end.at)
  return { steps: steps.toReversed(), beyond }
}
