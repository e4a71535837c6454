/**
 * Distinguishes the application's commits from ours, by transaction ids alone.
 *
 * LMDB numbers its write transactions without gaps, and one writer runs at a time. If a transaction of ours has id `n`,
 * and `n - 1` was accounted for, the application has not committed in between. Otherwise it has, and `n - 1` is an
 * upper bound of its last id. A transaction of ours that wrote nothing is not recorded by LMDB, and must not be
 * reported here. While one of ours is in progress, the last id may be ours or not, so nothing is concluded.
 */
export class ChangeTracker {
  /** Highest id that is accounted for. */
  private seen: bigint
  private foreign: bigint
  private writing = 0

  constructor(last: bigint) {
    this.seen = last
    // What was there before we came was written by somebody, possibly by us in an earlier run: then it may be unsent as
    // well.
    this.foreign = last
  }

  /** Upper bound of the last transaction that was not ours. */
  get lastForeign(): bigint {
    return this.foreign
  }

  /** Records the last id of the environment that a poll has read. */
  observe(last: bigint): void {
    if (this.writing > 0 || last <= this.seen) return
    this.foreign = last
    this.seen = last
  }

  beginWrite(): void {
    this.writing++
  }

  /** Ends a write of ours. `id` is that of the transaction if it has written and was committed, otherwise undefined. */
  endWrite(id: bigint | undefined): void {
    this.writing--
    if (id === undefined) return
    if (id - 1n > this.seen) this.foreign = id - 1n
    if (id > this.seen) this.seen = id
  }
}
