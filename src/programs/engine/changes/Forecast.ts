/**
 * Predicts, while two states of a DBI are being compared, how much the comparison will find. If that is too much, the
 * comparison ends early, so that it costs little beside what replaces its result: a full snapshot, or a walk over all
 * entries.
 *
 * The prediction assumes that the rest has changed as much as the part that has been compared. If that is wrong,
 * nothing is lost, because what replaces the result contains all changes.
 */

/** Minimum share of the DBI that a prediction is made from. */
const shareMin = 1 / 8

/** Factor by which the memory of a set of keys may be predicted too large, because its buffers grow by doubling. */
export const heldErrorMax = 2

/**
 * Returns the value at the end of the comparison of a number that was `atStart` when the comparison began, and is `now`
 * after this share of it.
 */
export const predict = (atStart: number, now: number, share: number): number =>
  share < shareMin ? now : atStart + (now - atStart) / share
