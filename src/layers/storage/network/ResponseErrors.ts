/**
 * What a store's SDK throws, as far as the reasons of `StorageError` follow from code and status alone; the codes and
 * their advices are each store's own. Everything that may pass by itself is `Unavailable`; what needs a person, or a
 * rotation of keys, is `Refused` with advice.
 */
import { Predicate } from "effect"
import { ObjectNotFound, Refused, type StorageError, Unavailable } from "../../../services/Storage.ts"

export type StorageReason = StorageError["reason"]

/**
 * Code and message only: an SDK's error holds keys, signed strings, or the request with its signature in its other
 * fields.
 */
export interface Failure {
  /** Of the answer, or of node's error. */
  readonly code: string
  readonly message: string
  /** 0 without an answer. */
  readonly status: number
}

export const fieldOf = (value: unknown, key: string): unknown =>
  Predicate.hasProperty(value, key) ? value[key] : undefined

export interface Codes {
  /** There is no such object. */
  readonly missing: string
  /** They say "not now" whatever their status is, or that a body was damaged on its way. */
  readonly passing: ReadonlySet<string>
  /** For people, by code. */
  readonly advices: Readonly<Record<string, string>>
  /** For answers of 401 and 403 with other codes. */
  readonly denied: string
}

/** Proxies have limits as well, and lower ones than stores. */
const tooLarge = "the store, or a proxy in front of it, takes no requests of this size: raise its limit"

/** Undefined where the store's other rules decide. The failure's message is shown as it is. */
export const byCode = (
  { advices, denied, missing, passing }: Codes,
  { code, message: detail, status }: Failure
): StorageReason | undefined => {
  if (code === missing) return new ObjectNotFound()
  if (status === 507) return new Unavailable({ code, detail: `the store is full: ${detail}` })
  if (passing.has(code) || status >= 500 || status === 408 || status === 429) return new Unavailable({ code, detail })
  const byStatus = status === 413 ? tooLarge : status === 401 || status === 403 ? denied : undefined
  const advice = advices[code] ?? byStatus
  return advice === undefined ? undefined : new Refused({ code, detail, advice })
}

/** A response that is not what was asked for, whatever its status says. */
export const badResponse = (problem: string) =>
  new Unavailable({ code: "BadResponse", detail: `the response is not what was asked for: ${problem}` })

export const listingProblem = (problem: string) => `the response is not the listing that was asked for: ${problem}`

/** The same of a listing. */
export const badListing = (problem: string) => new Unavailable({ code: "BadListing", detail: listingProblem(problem) })
