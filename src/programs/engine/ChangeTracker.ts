/**
 * Tells the application's commits from ours, by transaction ids alone.
 *
 * LMDB numbers its write transactions without gaps, and one writer runs at a time. So when a transaction of ours has id
 * `n`, and `n - 1` was accounted for already, nobody has committed in between; else somebody has, and `n - 1` is a
 * bound of what he wrote. A transaction of ours that wrote nothing is not recorded and must not be told. While one of
 * ours is under way the last id may be ours or not: then nothing is concluded.
 */
export class ChangeTracker {
  /** The highest id that is accounted for. */
  private seen: bigint
  private foreign: bigint
  private writing = 0

  constructor(last: bigint) {
    this.seen = last
    // What was there before we came was written by somebody, possibly by us in an earlier run: then it may be unsent as
    // well.
    this.foreign = last
  }

  /** The upper bound of the last transaction that was not ours. */
  get lastForeign(): bigint {
    return this.foreign
  }

  /** The last id of the environment, as a poll found it. */
  observe(last: bigint): void {
    if (this.writing > 0 || last <= this.seen) return
    this.foreign = last
    this.seen = last
  }

  beginWrite(): void {
    this.writing++
  }

  /** `id`: of the transaction if it wrote and was committed, else undefined. */
  endWrite(id: bigint | undefined): void {
    this.writing--
    if (id === undefined) return
    if (id - 1n > this.seen) this.foreign = id - 1n
    if (id > this.seen) this.seen = id
  }
}
