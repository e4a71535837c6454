/** Reports whether the store's server can be reached and, if so, checks its clock and its certificates. */
import type { Refused, Unavailable } from "../../services/Storage.ts"
import * as CertificateCheck from "./CertificateCheck.ts"
import * as ClockCheck from "./ClockCheck.ts"
import { error, type Finding, ok } from "./Finding.ts"

const check = "endpoint"

export interface EndpointFacts extends ClockCheck.ClockFacts {
  readonly status: number
  /** Certificates, beginning with that of the server. Empty without TLS. */
  readonly chain: ReadonlyArray<CertificateCheck.Certificate>
  readonly isVerified: boolean
}

export const unreachable = (place: string, reason: Refused | Unavailable): ReadonlyArray<Finding> => [
  error(
    check,
    `${place} cannot be reached: ${reason.code}: ${reason.detail}`,
    "nothing is received or sent",
    reason._tag === "Refused"
      ? reason.advice
      : "check endpoint_url, name resolution, the network, firewalls and the proxy in HTTP_PROXY or HTTPS_PROXY"
  )
]

export const findings = (place: string, facts: EndpointFacts): ReadonlyArray<Finding> => [
  ok(check, `${place} responds within ${Math.round(facts.receivedMillis - facts.sentMillis)} ms`),
  ...ClockCheck.findings(facts),
  ...CertificateCheck.findings(facts.chain, facts.isVerified, facts.receivedMillis)
]
