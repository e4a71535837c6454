/** Checks for how long the certificates of the store's server are still valid. */
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "certificate"

/** Days. Automatic renewals run 30 days before the expiry, so a renewal has failed for some time by then. */
const soonDays = 21
/** Days below which the finding is an error. */
const urgentDays = 3

const dayMillis = 86_400_000

export interface Certificate {
  readonly subject: string
  /** Time of expiry in milliseconds since the UNIX epoch. */
  readonly validToMillis: number
}

/** Returns the findings for a chain that begins with the certificate of the server. */
export const findings = (
  chain: ReadonlyArray<Certificate>,
  isVerified: boolean,
  nowMillis: number
): ReadonlyArray<Finding> => {
  const first = chain.reduce<Certificate | undefined>(
    (soonest, one) => (soonest === undefined || one.validToMillis < soonest.validToMillis ? one : soonest),
    undefined
  )
  if (first === undefined) return []
  const days = Math.floor((first.validToMillis - nowMillis) / dayMillis)
  const names = chain.map(({ subject }) => subject).join(" < ")
  const what = `of the chain ${names}, ${first.subject} is the first to expire, in ${days} days`
  const why = "after that, every request to the store fails"
  const todo = "renew the certificate on the server"
  const expiry =
    days < urgentDays
      ? error(check, what, why, todo)
      : days < soonDays
        ? warning(check, what, why, todo)
        : ok(check, what)
  if (isVerified) return [expiry]
  const unverified = warning(
    check,
    "the server's certificate is not verified (tls.insecure_skip_verify)",
    "anyone on the network path can read and change all data",
    "set tls.ca_file to the server's CA certificate instead"
  )
  return [expiry, unverified]
}
