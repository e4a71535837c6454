/** Shows current retries and the last problems. */
import type { Failing, PastFailure } from "../../../services/Health.ts"
import { type Html, markup } from "./Html.ts"
import { ago, count, span, time } from "./Units.ts"

/** Checks of a database whose operation is retried until it works, with that operation. */
const operations: Readonly<Record<string, string>> = {
  storage_list: "list the bucket",
  storage_load: "load a snapshot",
  storage_store: "store a snapshot",
  lmdb_missing: "open the LMDB",
  map_full: "merge a snapshot",
  merge: "merge a snapshot",
  dump: "make a snapshot",
  stale_mark: "find out whether the LMDB is stale"
}

/** Returns the operation that a check of this database stands for, or undefined if nothing is retried. */
const operationOf = (database: string, check: string): string | undefined => {
  const name = check.slice(database.length + 1)
  return Object.hasOwn(operations, name) ? operations[name] : undefined
}

export const isRetried = (database: string, check: string): boolean => operationOf(database, check) !== undefined

/** Returns the current retries. `failing` contains the failing checks of the database. */
export const retries = (database: string, failing: ReadonlyArray<Failing>, now: number): Html | undefined => {
  const rows = failing.flatMap(({ attempts, check, message, since }) => {
    const operation = operationOf(database, check)
    if (operation === undefined) return []
    return markup`<tr><th scope="row">${operation}</th><td data-label="failing since">${ago(since, now)}</td><td data-label="attempts" class="n">${count(attempts)}</td><td data-label="last error" class="text bad">${message}</td></tr>`
  })
  if (rows.length === 0) return undefined
  return markup`<div class="scroll"><table class="stack"><caption>Retries under way for ${database}</caption>
<thead><tr><th scope="col">operation</th><th scope="col">failing since</th><th scope="col" class="n">attempts</th><th scope="col">last error</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

/** Returns the list of past failures, newest first. */
export const problems = (past: ReadonlyArray<PastFailure>, now: number): Html => {
  if (past.length === 0) return markup`<p class="soft">No problems since the start.</p>`
  const rows = past.map(({ attempts, check, message, since, until }) => {
    const end =
      until === undefined
        ? markup`<span class="chip bad">for ${span(now - since)}</span>`
        : markup`<span class="chip ok">over</span> after ${span(until - since)}`
    return markup`<tr><th scope="row">${check}</th><td data-label="began (UTC)">${time(since)}<br>${ago(since, now)}</td><td data-label="state">${end}</td><td data-label="attempts" class="n">${count(attempts)}</td><td data-label="message" class="text">${message}</td></tr>`
  })
  const title = past.length === 1 ? "The last problem" : `The last ${past.length} problems`
  return markup`<div class="scroll"><table class="stack"><caption>${title}</caption>
<thead><tr><th scope="col">check</th><th scope="col">began (UTC)</th><th scope="col">state</th><th scope="col" class="n">attempts</th><th scope="col">message</th></tr></thead><tbody>${rows}</tbody></table></div>`
}
