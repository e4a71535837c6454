/** The part of the status page that one database has. */
import { display } from "../../../domain/lmdb/DbiFlags.ts"
import type { BudgetUse } from "../../../services/MemoryBudget.ts"
import { pagesOf } from "../CollectLmdb.ts"
import type { Statistics } from "../Statistics.ts"
import type { DatabaseState } from "../../sync/facts/DaemonState.ts"
import type { InstanceFacts, SyncFacts } from "../../sync/facts/SyncFacts.ts"
import { type Html, markup } from "./Html.ts"
import { ago, bytes, count, span } from "./Units.ts"
import type { Verdict } from "./Verdict.ts"

export interface DatabaseView {
  readonly database: DatabaseState
  readonly verdict: Verdict
  readonly statistics: Statistics
  readonly budgets: Readonly<Record<"download" | "decompress", BudgetUse>>
  readonly isOpen: boolean
  readonly now: number
}

const millisOf = (nanos: bigint): number => Number(nanos / 1_000_000n)

const fact = (name: string, value: Html | string): Html => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`

const budget = ({ active, limit, waiting }: BudgetUse): string =>
  `${active} of ${limit} in use${waiting === 0 ? "" : `, ${waiting} waiting`}`

const sent = ({ sent }: SyncFacts, now: number): Html =>
  sent === undefined
    ? markup`none since the start`
    : markup`${ago(sent.at, now)}, ${bytes(sent.size)}, ${count(sent.entries)} entries`

const quarantinedOf = ({ quarantined }: SyncFacts, instance: string): ReadonlyArray<Html> =>
  [...quarantined]
    .filter(([name]) => name.split("__")[1] === instance)
    .map(([name, { problem }]) => markup`<div class="bad">quarantined: ${name}: ${problem}</div>`)

const stateOf = ({ quarantined }: SyncFacts, { behindSince, newest }: InstanceFacts, isOwn: boolean, now: number) => {
  if (behindSince !== undefined) return `behind for ${span(now - behindSince)}`
  if (newest !== undefined && quarantined.has(newest.name.text)) return "quarantined"
  return isOwn ? "" : "in sync"
}

const instanceRow = (name: string, known: InstanceFacts, facts: SyncFacts, isOwn: boolean, now: number): Html => {
  const { merged, newest, stage } = known
  const newestAt = newest === undefined ? undefined : millisOf(newest.name.timestampNano)
  const doing = stage === undefined ? "" : `${stage.name}, ${span(now - stage.since)}`
  return markup`<tr><th scope="row">${name}${isOwn ? " (this one)" : ""}</th>
<td>${ago(newestAt, now)}</td>
<td>${merged === undefined ? markup`<span class="none">–</span>` : ago(millisOf(merged.snapshot.name.timestampNano), now)}</td>
<td>${stateOf(facts, known, isOwn, now)}</td>
<td>${doing}${quarantinedOf(facts, name)}</td></tr>`
}

const instances = ({ database: { name, sync }, now }: DatabaseView): Html => {
  if (sync === undefined || sync.facts.instances.size === 0)
    return markup`<p class="soft">No snapshots in the bucket yet.</p>`
  const rows = [...sync.facts.instances]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([instance, known]) => instanceRow(instance, known, sync.facts, instance === sync.options.instance, now))
  return markup`<div class="scroll"><table><caption>Instances of ${name}</caption>
<thead><tr><th scope="col">instance</th><th scope="col">newest snapshot</th><th scope="col">last merged</th><th scope="col">state</th><th scope="col">now</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

const dbis = ({ database: { name }, statistics: { known } }: DatabaseView): Html | undefined => {
  if (known === undefined) return undefined
  const rows = known.info.dbis.map(
    (
      dbi
    ) => markup`<tr><th scope="row">${dbi.name}</th><td class="n">${count(dbi.entries)}</td><td class="n">${bytes(pagesOf(dbi) * known.info.pageSize)}</td>
<td class="n">${count(pagesOf(dbi))}</td><td class="n">${dbi.depth}</td><td>${display(dbi.flags)}</td></tr>`
  )
  return markup`<div class="scroll"><table><caption>DBIs of ${name}</caption>
<thead><tr><th scope="col">DBI</th><th scope="col" class="n">entries</th><th scope="col" class="n">used</th><th scope="col" class="n">pages</th><th scope="col" class="n">depth</th><th scope="col">flags</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

const map = ({ statistics: { growth, known } }: DatabaseView): Html | undefined => {
  if (known === undefined) return undefined
  const { mapSize, used } = known.info
  const left = growth === undefined ? undefined : (mapSize - used) / growth
  const full = left === undefined ? "" : `; at this rate full in ${span(left)}`
  return markup`<div><dt>Map</dt><dd><meter min="0" max="${mapSize}" low="${0.7 * mapSize}" high="${0.85 * mapSize}" optimum="0" value="${used}">${used} of ${mapSize} bytes</meter>
${bytes(used)} of ${bytes(mapSize)} used (${((100 * used) / mapSize).toFixed(1)} %)${full}</dd></div>`
}

const facts = (view: DatabaseView): Html => {
  const { budgets, database, now, statistics } = view
  const { known, problem } = statistics
  const info = known?.info
  return markup`<dl>${map(view)}
${database.sync === undefined ? undefined : fact("Last local change", ago(database.sync.facts.changedAt, now))}
${database.sync === undefined ? undefined : fact("Last snapshot sent", sent(database.sync.facts, now))}
${info === undefined ? undefined : fact("Last transaction", String(info.lastTransactionId))}
${info === undefined ? undefined : fact("Readers", `${info.readers} of ${info.maxReaders}`)}
${info === undefined ? undefined : fact("Data file", markup`${bytes(info.fileSize)}, <span class="soft">${info.path}</span>`)}
${fact("Downloads", budget(budgets.download))}${fact("Merges", budget(budgets.decompress))}
${problem === undefined ? undefined : fact("Statistics", markup`<span class="bad">${problem}</span>`)}
${known === undefined || now - known.at < 5_000 ? undefined : fact("Statistics", markup`of ${ago(known.at, now)}`)}</dl>`
}

export const section = (view: DatabaseView): Html => {
  const { database, isOpen, now, verdict } = view
  const reasons = verdict.reasons.map(
    ({ level, since, text }) =>
      markup`<li class="${level}">${text}${since === undefined ? "" : markup` (for ${span(now - since)})`}</li>`
  )
  return markup`<details id="db-${database.name}"${isOpen ? markup` open` : undefined}><summary><h2>${database.name}</h2>
<span class="chip ${verdict.level}">${verdict.state}</span></summary><div class="body">
${reasons.length === 0 ? undefined : markup`<ul>${reasons}</ul>`}${facts(view)}${instances(view)}${dbis(view)}</div></details>`
}
