/**
 * Converts errors of a store's SDK into reasons of `StorageError`, as far as code and status determine them. Each store
 * has codes and advice of its own. A transient problem is `Unavailable`. One that requires an operator, or a rotation
 * of keys, is `Refused` with advice.
 */
import { Predicate } from "effect"
import { ObjectNotFound, Refused, type StorageError, Unavailable } from "../../../services/Storage.ts"

export type StorageReason = StorageError["reason"]

/**
 * Only the code and the message. The other fields of an SDK's error contain keys, signed strings, or the request with
 * its signature.
 */
export interface Failure {
  /** The code of the response or of Node's error. */
  readonly code: string
  readonly message: string
  /** 0 when there is no response. */
  readonly status: number
}

export const fieldOf = (value: unknown, key: string): unknown =>
  Predicate.hasProperty(value, key) ? value[key] : undefined

export interface Codes {
  /** The code of a missing object. */
  readonly missing: string
  /** Codes that ask to retry later, whatever the status is, or that report a body damaged in transit. */
  readonly transient: ReadonlySet<string>
  /** Advice for operators, by code. */
  readonly advices: Readonly<Record<string, string>>
  /** Advice for responses 401 and 403 with other codes. */
  readonly denied: string
}

/** Proxies have limits, too, which are often lower than those of stores. */
const tooLarge = "the store, or a proxy in front of it, does not accept requests of this size: raise its limit"

/** Returns undefined when the store's other rules decide. The failure's message is shown unchanged. */
export const byCode = (
  { advices, denied, missing, transient }: Codes,
  { code, message: detail, status }: Failure
): StorageReason | undefined => {
  if (code === missing) return new ObjectNotFound()
  if (status === 507) return new Unavailable({ code, detail: `the store is full: ${detail}` })
  if (transient.has(code) || status >= 500 || status === 408 || status === 429) return new Unavailable({ code, detail })
  const byStatus = status === 413 ? tooLarge : status === 401 || status === 403 ? denied : undefined
  const advice = advices[code] ?? byStatus
  return advice === undefined ? undefined : new Refused({ code, detail, advice })
}

/** A response that is not the requested one, whatever its status is. */
export const badResponse = (problem: string) =>
  new Unavailable({ code: "BadResponse", detail: `the response is not the requested one: ${problem}` })

export const listingProblem = (problem: string) => `the response is not the requested listing: ${problem}`

/** A listing that is not the requested one. */
export const badListing = (problem: string) => new Unavailable({ code: "BadListing", detail: listingProblem(problem) })
