/**
 * Shared by the layers of `Lmdb`. Methods of a write transaction throw, and their caller is the body, an Effect, so
 * their errors arrive as defects. They are not bugs, so this module turns them back into errors.
 */
import { Cause } from "effect"
import { LmdbError } from "../../services/Lmdb.ts"

const isThrown = <E>(reason: Cause.Reason<E>) => Cause.isDieReason(reason) && reason.defect instanceof LmdbError

/** Turns defects that are LmdbErrors into failures. Returns the same cause when it contains none. */
export const asFailure = <E>(cause: Cause.Cause<E>): Cause.Cause<E | LmdbError> => {
  if (!cause.reasons.some(isThrown)) return cause
  return Cause.fromReasons(
    cause.reasons.map((reason): Cause.Reason<E | LmdbError> =>
      Cause.isDieReason(reason) && reason.defect instanceof LmdbError ? Cause.makeFailReason(reason.defect) : reason
    )
  )
}
