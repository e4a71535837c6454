/**
 * The objects that were stored since the last full snapshot, which decide where the next delta starts. An immutable
 * value.
 *
 * The n-th delta since the full snapshot starts where delta n − 16^k was stored, with the largest k such that 16^k
 * divides n; delta 0 is the full snapshot:
 *
 *     full ← 1 ← 2 ← … ← 15    16 ← 17 ← …    32
 *     full ←─────────────────── 16 ←────────── 32
 *
 * Any of 4,096 deltas can therefore be reached from the full snapshot with at most 45 objects. An instance that follows
 * the deltas needs one object per delta, and each change is stored at most 1 + log16(n) times.
 */

const radix = 16

/** The last full snapshot. */
export interface FullSnapshot {
  readonly timestampNano: bigint
  /** Compressed size in bytes. */
  readonly size: number
  readonly entries: number
  /** Time of the store on the monotonic clock, in milliseconds. */
  readonly storedMillis: number
}

/** A stored object that deltas can start from: the full snapshot, or delta `index` after it. */
interface Point {
  readonly index: number
  readonly timestampNano: bigint
}

/** True if a delta after delta `count` can start from point `index`, which is then the last point of its level. */
const isStart = (index: number, count: number): boolean => {
  for (let step = 1; step <= count; step *= radix) if (count - (count % step) === index) return true
  return index === 0
}

export class DeltaChain {
  readonly full: FullSnapshot
  /** Number of deltas since the full snapshot. */
  readonly count: number
  /** Compressed size of these deltas in bytes. */
  readonly bytes: number
  /** Points that later deltas may start from, oldest first. */
  private readonly points: ReadonlyArray<Point>

  private constructor(full: FullSnapshot, points: ReadonlyArray<Point>, bytes: number) {
    this.full = full
    this.points = points
    this.count = points.at(-1)!.index
    this.bytes = bytes
  }

  /** Returns the chain after a full snapshot was stored, whether or not it has taken over the time of a delta. */
  static after(full: FullSnapshot): DeltaChain {
    return new DeltaChain(full, [{ index: 0, timestampNano: full.timestampNano }], 0)
  }

  /** Returns the chain after a delta from `fromNano` was stored. */
  followedBy(delta: { readonly timestampNano: bigint; readonly size: number }): DeltaChain {
    const index = this.count + 1
    const points = [...this.points, { index, timestampNano: delta.timestampNano }]
    return new DeltaChain(
      this.full,
      points.filter((point) => isStart(point.index, index)),
      this.bytes + delta.size
    )
  }

  /** Time of the object that the next delta starts from. */
  get fromNano(): bigint {
    const next = this.count + 1
    let step = 1
    while (next % (step * radix) === 0) step *= radix
    return this.points.findLast(({ index }) => index <= next - step)!.timestampNano
  }

  /** Times of all objects that deltas may still start from. */
  get keptNano(): ReadonlyArray<bigint> {
    return this.points.map(({ timestampNano }) => timestampNano)
  }

  /** Time of the last stored object. */
  get lastNano(): bigint {
    return this.points.at(-1)!.timestampNano
  }
}
