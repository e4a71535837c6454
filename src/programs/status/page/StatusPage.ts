/** The status page /, for operators. It is one document that loads nothing else. */
import { Clock, Effect } from "effect"
import { type Failing, Health } from "../../../services/Health.ts"
import type { PageResponse } from "../../../services/HttpServer.ts"
import { MemoryBudget } from "../../../services/MemoryBudget.ts"
import { ProcessInfo } from "../../../services/ProcessInfo.ts"
import { Settings } from "../../../services/Settings.ts"
import { instanceText } from "../../../domain/snapshot/SnapshotName.ts"
import type { DaemonState, DatabaseState } from "../../sync/facts/DaemonState.ts"
import type { ReadStatistics } from "../Statistics.ts"
import { script, style } from "./Assets.ts"
import { type DatabaseView, section } from "./DatabaseSection.ts"
import { Html, markup } from "./Html.ts"
import { problems } from "./Problems.ts"
import { ago, bytes, span } from "./Units.ts"
import * as Verdict from "./Verdict.ts"

/** Number of databases up to which all sections are open. If there are more, only those that are not in sync are. */
const openMax = 3

const hashOf = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => `'sha256-${Buffer.from(digest).toString("base64")}'`
  )

/** The content security policy, which allows only the style and script of the page. */
const policy = Effect.map(
  Effect.all([hashOf(style), hashOf(script)]),
  ([styleHash, scriptHash]) =>
    `default-src 'none'; style-src ${styleHash}; script-src ${scriptHash}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
)

/**
 * Returns the checks of a database. A check belongs to the database with the longest name that its name begins with.
 */
const checksOf = (name: string, databases: ReadonlyArray<DatabaseState>, failing: ReadonlyArray<Failing>) =>
  failing.filter(({ check }) => {
    const owners = databases.filter((database) => check.startsWith(`${database.name}_`))
    return owners.toSorted((a, b) => b.name.length - a.name.length)[0]?.name === name
  })

const verdict = (views: ReadonlyArray<DatabaseView>, now: number): Html => {
  const reasons = views.flatMap(({ database, verdict }) =>
    verdict.reasons
      .filter(({ level }) => level !== "ok")
      .map(({ level, since, text }) => ({ level, since, text, name: database.name }))
  )
  const busy = views.filter(({ verdict }) => verdict.reasons.length > 0).length
  if (reasons.length === 0) {
    const text =
      busy === 0 ? "Everything is in sync" : `Syncing: ${busy} of ${views.length} databases have something under way`
    return markup`<div class="verdict ok" role="status"><strong>${text}</strong></div>`
  }
  const level = reasons.some(({ level }) => level === "bad") ? "bad" : "warn"
  const since = Math.min(...reasons.map((reason) => reason.since ?? now))
  const items = reasons
    .slice(0, 20)
    .map(
      ({ name, since, text }) =>
        markup`<li><a href="#db-${name}">${name}</a>: ${text}${since === undefined ? "" : markup`, since ${ago(since, now)}`}</li>`
    )
  return markup`<div class="verdict ${level}" role="status"><strong>Not in sync, for ${span(now - since)}</strong><ul>${items}</ul></div>`
}

/** The page does not wait for new statistics, because it is read again a few seconds later. */
const patience = { forAny: "300 millis", forNewer: "20 millis" } as const

const viewOf = Effect.fnUntraced(function* (
  state: DaemonState,
  database: DatabaseState,
  statistics: Effect.Success<ReturnType<ReadStatistics>>,
  failing: ReadonlyArray<Failing>,
  now: number
) {
  const { use } = yield* MemoryBudget
  const ofThis = checksOf(database.name, state.databases, failing)
  const verdict = Verdict.of(database, ofThis, state.startedAt, now)
  return {
    database,
    verdict,
    failing: ofThis,
    statistics: statistics.get(database.name) ?? { known: undefined, problem: undefined, growth: undefined },
    budgets: { download: yield* use(database.name, "download"), decompress: yield* use(database.name, "decompress") },
    isOpen: state.databases.length <= openMax || verdict.level !== "ok",
    now
  } satisfies DatabaseView
})

const body = Effect.fnUntraced(function* (state: DaemonState, read: ReadStatistics) {
  const { all, recent } = yield* Health
  const { instance } = yield* Settings
  const { facts, use } = yield* ProcessInfo
  const statistics = yield* read(patience)
  const now = yield* Clock.currentTimeMillis
  const failing = yield* all
  const views = yield* Effect.forEach(state.databases, (database) => viewOf(state, database, statistics, failing, now))
  const { anonymousBytes, residentBytes } = yield* use
  const own = anonymousBytes === undefined ? undefined : markup`, ${bytes(anonymousBytes)} of it anonymous memory`
  const top = markup`<header><h1>Lightning Stream: ${instanceText(instance)}</h1>
<p class="soft">${facts.hostname}, version ${facts.version}, started ${ago(facts.startedAtMillis, now)}, ${bytes(residentBytes)} resident${own}.
<a href="/metrics">metrics</a>, <a href="/healthz">health</a>, <a href="/storage">storage</a></p></header>
${verdict(views, now)}`
  return { top, state: markup`${views.map(section)}<h2 class="block">Problems</h2>${problems(yield* recent, now)}` }
})

export const make = Effect.fnUntraced(function* (state: DaemonState, read: ReadStatistics) {
  const headers = { "content-security-policy": yield* policy }
  return Effect.map(body(state, read), (content): PageResponse => ({
    contentType: "text/html; charset=utf-8",
    headers,
    body: markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Lightning Stream</title>
<link rel="icon" href="data:,"><style>${new Html(style)}</style></head><body><main>
<div id="top">${content.top}</div><p id="live" role="alert"></p>
<div id="tools"${state.databases.length > openMax ? undefined : markup` hidden`}><label>Filter <input id="filter" type="search" placeholder="name or state"></label><button id="open" type="button">Open all</button><button id="close" type="button">Close all</button></div>
<div id="state">${content.state}</div></main><script>${new Html(script)}</script></body></html>
`.text
  }))
})
