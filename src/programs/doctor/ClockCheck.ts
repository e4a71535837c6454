/** Compares the clock of this machine with that of the store's server. */
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "clock"

/**
 * Milliseconds. The header has whole seconds, and the response takes time, so smaller differences cannot be detected.
 */
const noticedMillis = 2_000
/** Difference in milliseconds that is an error. The daemon logs a warning about snapshots that are as far ahead. */
const wrongMillis = 10_000

const why = "the later write wins, so with a wrong clock old changes win over newer ones of other servers"
const todo = "synchronize this machine's clock (chrony, ntpd, timesyncd)"

export interface ClockFacts {
  /** The header `Date` of a response, or undefined if it has none. */
  readonly date: string | undefined
  /** Times of the request and of the response by this machine's clock, in milliseconds since the UNIX epoch. */
  readonly sentMillis: number
  readonly receivedMillis: number
}

/** Returns by how many milliseconds this clock is at least ahead, or behind if negative, or 0 if it may be right. */
const aheadMillis = (server: number, { receivedMillis, sentMillis }: ClockFacts): number => {
  // At some moment between the two times, the server's clock showed a time between `server` and a second later.
  if (sentMillis > server + 1_000) return sentMillis - (server + 1_000)
  return receivedMillis < server ? receivedMillis - server : 0
}

export const findings = (facts: ClockFacts): ReadonlyArray<Finding> => {
  const server = Date.parse(facts.date ?? "")
  if (Number.isNaN(server)) return [ok(check, "not compared: the server's responses have no Date header")]
  const ahead = aheadMillis(server, facts)
  const seconds = (Math.abs(ahead) / 1_000).toFixed(1)
  const what = `this machine's clock is at least ${seconds} s ${ahead > 0 ? "ahead of" : "behind"} the server's`
  if (Math.abs(ahead) >= wrongMillis) return [error(check, what, why, todo)]
  if (Math.abs(ahead) >= noticedMillis) return [warning(check, what, why, todo)]
  return [ok(check, `within ${noticedMillis / 1_000} s of the server's`)]
}
