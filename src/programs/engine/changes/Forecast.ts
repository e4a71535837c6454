/**
 * Predicts, while two states of a DBI are being compared, how much the comparison will find. If that is too much, the
 * comparison ends early, so that it costs little beside what replaces its result: a full snapshot, or a walk over all
 * entries.
 *
 * The prediction assumes that the rest has changed as much as the part that has been compared. If that is wrong,
 * nothing is lost, because what replaces the result contains all changes.
 */

/**
 * Returns the factor by which a prediction from this share of the DBI must exceed the limit. The less has been
 * compared, the more the rest may differ from it.
 */
const marginOf = (share: number): number => {
  if (share >= 1 / 8) return 1
  return share >= 1 / 32 ? 1.25 : Infinity
}

/** Factor by which the memory of a set of keys may be predicted too large, because its buffers grow by doubling. */
export const heldErrorMax = 2

/**
 * True if a number that was `atStart` when the comparison began, and is `now` after this share of it, is predicted to
 * be above the limit at the end.
 */
export const exceeds = (limit: number, atStart: number, now: number, share: number): boolean =>
  atStart + (now - atStart) / share > marginOf(share) * limit
