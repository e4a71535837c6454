/**
 * What was stored since the last full snapshot, and so where the next delta starts. Plain values.
 *
 * The n-th delta since the full snapshot starts where delta n − 16^k was stored, with the largest k such that 16^k
 * divides n; delta 0 is the full snapshot:
 *
 *     full ← 1 ← 2 ← … ← 15    16 ← 17 ← …    32
 *     full ←─────────────────── 16 ←────────── 32
 *
 * So any of 4,096 deltas is reached from the full snapshot in at most 45 objects, one that follows needs one object per
 * delta, and each change is stored at most 1 + log16(n) times.
 */

const radix = 16

/** The last full snapshot. */
export interface FullSnapshot {
  readonly timestampNano: bigint
  /** Bytes, compressed. */
  readonly size: number
  readonly entries: number
  /** Monotonic time in milliseconds. */
  readonly storedMillis: number
}

/** A stored object that deltas can start from: the full snapshot, or delta `index` after it. */
interface Point {
  readonly index: number
  readonly timestampNano: bigint
}

/** Whether a delta after delta `count` starts at point `index`: it is the last one of a level. */
const isStart = (index: number, count: number): boolean => {
  for (let step = 1; step <= count; step *= radix) if (count - (count % step) === index) return true
  return index === 0
}

export class DeltaChain {
  readonly full: FullSnapshot
  /** Number of deltas since the full snapshot. */
  readonly count: number
  /** Bytes of these, compressed. */
  readonly bytes: number
  /** Oldest first. */
  private readonly points: ReadonlyArray<Point>

  private constructor(full: FullSnapshot, points: ReadonlyArray<Point>, bytes: number) {
    this.full = full
    this.points = points
    this.count = points.at(-1)!.index
    this.bytes = bytes
  }

  /** A full snapshot was stored, or one of the state that delta `full.timestampNano` had reached. */
  static after(full: FullSnapshot): DeltaChain {
    return new DeltaChain(full, [{ index: 0, timestampNano: full.timestampNano }], 0)
  }

  /** A delta from `fromNano` was stored. */
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
