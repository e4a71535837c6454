/**
 * For layers of `Lmdb`: methods of a write transaction throw, and its body is an effect, so what they throw arrives as
 * a defect. It is no bug: an error.
 */
import { Cause } from "effect"
import { LmdbError } from "../../services/Lmdb.ts"

const isThrown = <E>(reason: Cause.Reason<E>) => Cause.isDieReason(reason) && reason.defect instanceof LmdbError

/** The same cause when it has none of them. */
export const asFailure = <E>(cause: Cause.Cause<E>): Cause.Cause<E | LmdbError> => {
  if (!cause.reasons.some(isThrown)) return cause
  return Cause.fromReasons(
    cause.reasons.map((reason): Cause.Reason<E | LmdbError> =>
      Cause.isDieReason(reason) && reason.defect instanceof LmdbError ? Cause.makeFailReason(reason.defect) : reason
    )
  )
}
