/** The section of the status page for one database. */
import { display } from "../../../domain/lmdb/DbiFlags.ts"
import * as SnapshotName from "../../../domain/snapshot/SnapshotName.ts"
import type { Failing } from "../../../services/Health.ts"
import type { BudgetUse } from "../../../services/MemoryBudget.ts"
import { pagesOf } from "../CollectLmdb.ts"
import type { Statistics } from "../Statistics.ts"
import type { DatabaseState } from "../../sync/facts/DaemonState.ts"
import type { InstanceFacts, SyncFacts } from "../../sync/facts/SyncFacts.ts"
import type { SyncState } from "../../sync/SyncState.ts"
import { type Html, markup } from "./Html.ts"
import { isRetried, retries } from "./Problems.ts"
import { ago, bytes, count, span } from "./Units.ts"
import type { Verdict } from "./Verdict.ts"

export interface DatabaseView {
  readonly database: DatabaseState
  readonly verdict: Verdict
  /** The failing checks of the database. */
  readonly failing: ReadonlyArray<Failing>
  readonly statistics: Statistics
  readonly budgets: Readonly<Record<"download" | "decompress", BudgetUse>>
  readonly isOpen: boolean
  readonly now: number
}

const millisOf = (nanos: bigint): number => Number(nanos / 1_000_000n)

const fact = (name: string, value: Html | string): Html => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`

const budget = ({ active, bytes: held, limit, waiting }: BudgetUse): Html =>
  markup`${active} of ${limit} in use${waiting === 0 ? "" : `, ${waiting} waiting`}${held === 0 ? "" : markup`, ${bytes(held)}`}`

const sent = ({ sent }: SyncFacts, now: number): Html =>
  sent === undefined
    ? markup`<span class="soft">none since the start</span>`
    : markup`${ago(sent.at, now)}<span class="soft" title="${sent.name}">${sent.kind === "delta" ? ", a delta" : ""}, ${bytes(sent.size)}, ${count(sent.entries)} ${sent.entries === 1 ? "entry" : "entries"}</span>`

/** Deltas since the last full snapshot, if there are any. */
const deltas = ({ chain, facts: { sentFull } }: SyncState, now: number): Html | undefined =>
  chain === undefined || chain.count === 0 || sentFull === undefined
    ? undefined
    : fact(
        "Deltas sent since the full snapshot",
        markup`${count(chain.count)}, ${bytes(chain.bytes)}<span class="soft" title="${sentFull.name}">; full snapshot ${ago(sentFull.at, now)}, ${bytes(sentFull.size)}</span>`
      )

const sending = ({ sending }: SyncFacts, now: number): Html | undefined =>
  sending === undefined ? undefined : fact("Sending", `${sending.name}, for ${span(now - sending.since)}`)

/** Returns the quarantined snapshots by instance. */
const quarantinedOf = ({ quarantined }: SyncFacts) =>
  Map.groupBy(quarantined, ([name]) => SnapshotName.parse(name)?.instance)

const asides = (quarantined: ReturnType<typeof quarantinedOf>, instance: string, now: number): ReadonlyArray<Html> =>
  (quarantined.get(instance) ?? []).map(
    ([name, { at, problem }]) => markup`<div class="bad note">quarantined ${ago(at, now)}: ${name}: ${problem}</div>`
  )

const stateOf = (
  facts: SyncFacts,
  { behindSince, newest, stage }: InstanceFacts,
  isOwn: boolean,
  now: number
): Html => {
  const doing = stage === undefined ? "" : `: ${stage.name}, for ${span(now - stage.since)}`
  if (behindSince !== undefined)
    return markup`<span class="chip warn">behind</span> for ${span(now - behindSince)}${doing}`
  if (newest !== undefined && facts.quarantined.has(newest.name.text))
    return markup`<span class="chip bad">quarantined</span>`
  return isOwn ? markup`<span class="soft">this instance</span>` : markup`<span class="chip ok">in sync</span>${doing}`
}

const mergedOf = ({ merged }: InstanceFacts, now: number): Html => {
  if (merged === undefined) return markup`<span class="none">–</span>`
  const { at, entriesWritten, lockHeldMillis, snapshot } = merged
  const lock = lockHeldMillis === 0 ? "" : `, write lock held for ${span(lockHeldMillis)}`
  return markup`${ago(millisOf(snapshot.name.timestampNano), now)}<br><span class="soft">merged ${ago(at, now)}: ${count(entriesWritten)} new${lock}</span>`
}

const instanceRow = (name: string, state: SyncState, quarantined: ReadonlyArray<Html>, now: number): Html => {
  const { facts, options } = state
  const known = facts.instance(name)
  const { newest } = known
  const newestAt = newest === undefined ? undefined : millisOf(newest.name.timestampNano)
  return markup`<tr><th scope="row">${name}</th><td data-label="newest snapshot">${ago(newestAt, now)}</td>
<td data-label="last merged">${mergedOf(known, now)}</td><td data-label="state" class="text">${stateOf(facts, known, name === options.instance, now)}${quarantined}</td></tr>`
}

const instances = ({ database: { name, sync }, now }: DatabaseView): Html => {
  if (sync === undefined || sync.facts.instances.size === 0)
    return markup`<p class="soft">No snapshots in the bucket yet.</p>`
  const quarantined = quarantinedOf(sync.facts)
  const rows = [...sync.facts.instances.keys()]
    .toSorted()
    .map((instance) => instanceRow(instance, sync, asides(quarantined, instance, now), now))
  return markup`<div class="scroll"><table class="stack"><caption>Instances of ${name}</caption>
<thead><tr><th scope="col">instance</th><th scope="col">newest snapshot</th><th scope="col">last merged</th><th scope="col">state</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

const tombstonesOf = (facts: SyncFacts | undefined, dbi: string): Html => {
  const found = facts?.tombstones?.ofDbi.get(dbi)
  return found === undefined ? markup`<span class="none">–</span>` : count(found)
}

const dbis = ({ database: { name, sync }, now, statistics: { known } }: DatabaseView): Html | undefined => {
  if (known === undefined) return undefined
  const { pageSize } = known.info
  const counted = sync?.facts.tombstones
  const rows = known.info.dbis.map(
    (
      dbi
    ) => markup`<tr><th scope="row">${dbi.name}</th><td class="n">${count(dbi.entries)}</td><td class="n">${tombstonesOf(sync?.facts, dbi.name)}</td><td class="n">${bytes(pagesOf(dbi) * pageSize)}</td>
<td class="n">${count(pagesOf(dbi))}</td><td class="n">${dbi.depth}</td><td>${display(dbi.flags)}</td></tr>`
  )
  return markup`<div class="scroll"><table><caption>DBIs of ${name}</caption>
<thead><tr><th scope="col">DBI</th><th scope="col" class="n">entries</th><th scope="col" class="n">tombstones</th><th scope="col" class="n">used</th><th scope="col" class="n">pages</th><th scope="col" class="n">depth</th><th scope="col">flags</th></tr></thead>
<tbody>${rows}</tbody></table></div>${counted === undefined ? undefined : markup`<p class="soft">Tombstones as of ${ago(counted.at, now)}, when all entries were last dumped.</p>`}`
}

const map = ({ statistics: { growth, known } }: DatabaseView): Html | undefined => {
  if (known === undefined) return undefined
  const { mapSize, used } = known.info
  const left = growth === undefined ? undefined : (mapSize - used) / growth
  const full = left === undefined ? "" : `; at this rate full in ${span(left)}`
  return markup`<div class="map"><dt>Map</dt><dd><meter min="0" max="${mapSize}" low="${0.7 * mapSize}" high="${0.85 * mapSize}" optimum="0" value="${used}">${used} of ${mapSize} bytes</meter>
${bytes(used)} of ${bytes(mapSize)} used (${((100 * used) / mapSize).toFixed(1)} %)${full}</dd></div>`
}

const facts = (view: DatabaseView): Html => {
  const { budgets, database, now, statistics } = view
  const { known, problem } = statistics
  const info = known?.info
  return markup`<dl>${map(view)}
${database.sync === undefined ? undefined : fact("Last local change", ago(database.sync.facts.changedAt, now))}
${database.sync === undefined ? undefined : fact("Last snapshot sent", sent(database.sync.facts, now))}
${database.sync === undefined ? undefined : deltas(database.sync, now)}
${database.sync === undefined ? undefined : sending(database.sync.facts, now)}
${info === undefined ? undefined : fact("Last transaction", String(info.lastTransactionId))}
${info === undefined ? undefined : fact("Readers", `${info.readers} of ${info.maxReaders}`)}
${fact("Downloads", budget(budgets.download))}${fact("Merges", budget(budgets.decompress))}
${problem === undefined ? undefined : fact("Statistics", markup`<span class="bad">${problem}</span>`)}
${known === undefined || now - known.at < 5_000 ? undefined : fact("Statistics", markup`of ${ago(known.at, now)}`)}
${info === undefined ? undefined : markup`<div class="wide"><dt>Data file</dt><dd>${bytes(info.fileSize)}, <span class="soft">${info.path}</span></dd></div>`}</dl>`
}

/** The summary of a closed section: how full the map is, and the number of instances. */
const brief = ({ database: { sync }, statistics: { known } }: DatabaseView): Html => {
  const found = sync?.facts.instances.size
  const instances = found === undefined ? "" : `${found} ${found === 1 ? "instance" : "instances"}`
  const used = known === undefined ? "" : `map ${((100 * known.info.used) / known.info.mapSize).toFixed(0)} %`
  return markup`<span class="soft">${[instances, used].filter((part) => part !== "").join(", ")}</span>`
}

export const section = (view: DatabaseView): Html => {
  const { database, failing, isOpen, now, verdict } = view
  const reasons = verdict.reasons
    .filter(({ check }) => check === undefined || !isRetried(database.name, check))
    .map(
      ({ level, since, text }) =>
        markup`<li class="${level} note">${text}${since === undefined ? "" : markup` (for ${span(now - since)})`}</li>`
    )
  return markup`<details id="db-${database.name}"${isOpen ? markup` open` : undefined}><summary><h2>${database.name}</h2>
<span class="chip ${verdict.level}">${verdict.state}</span>${brief(view)}</summary><div class="body">
${reasons.length === 0 ? undefined : markup`<ul class="notes">${reasons}</ul>`}${retries(database.name, failing, now)}${facts(view)}${instances(view)}${dbis(view)}</div></details>`
}
