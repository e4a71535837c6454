/**
 * `sync --dry-run`: determines what the daemon would merge, send, delete and sweep if it started with the current
 * bucket and LMDB. It changes neither of them, and reads the LMDB in one read transaction.
 *
 * The daemon merges snapshots one after the other, while this program merges all of them at once. The result is the
 * same, but an entry that several instances have is counted once, for the instance whose version wins.
 */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { Lmdb } from "../../services/Lmdb.ts"
import type { DryRun } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import { newest } from "../engine/NewestTimestamp.ts"
import * as StaleMark from "../engine/StaleMark.ts"
import type { OpenLmdb } from "../tasks/OpenLmdb.ts"
import { entriesOf, walkAll } from "../verify/PlaceComparison.ts"
import { type ReadPlaces, readPlaces } from "../verify/ReadPlaces.ts"
import * as ApplicationChanges from "./ApplicationChanges.ts"
import * as CleanPreview from "./CleanPreview.ts"
import { DbiPreview } from "./DbiPreview.ts"
import type { DryRunReport, Merging } from "./DryRunReport.ts"
import * as SweepPreview from "./SweepPreview.ts"

const tooOld = "it is older than sweeper.retention_days, and would be quarantined"

/** Removes the snapshots that would be quarantined as too old. */
const withoutStale = (read: ReadPlaces, limit: bigint | undefined): ReadPlaces => {
  if (limit === undefined) return read
  const isStale = ({ timestampNano }: { readonly timestampNano: bigint }) => timestampNano < limit
  return {
    ...read,
    places: read.places.filter(({ report }) => !isStale(report)),
    reports: read.reports.map((report) => (isStale(report) ? { ...report, problem: report.problem ?? tooOld } : report))
  }
}

/** True if the LMDB has data, but nothing shows that it was synced within the retention (see `Staleness`). */
const isStale = Effect.fnUntraced(function* (read: ReadPlaces, ownNano: bigint, limit: bigint | undefined) {
  if (limit === undefined || read.local === undefined || ownNano >= limit) return false
  const { lmdb } = read.local
  const newestNano = yield* Effect.provideService(newest(read), Lmdb, lmdb)
  if (newestNano > 1n && newestNano < limit) return true
  const mark = yield* Effect.provideService(StaleMark.read, Lmdb, lmdb)
  return mark !== undefined && (mark <= 1n || mark < limit)
})

const hasData = ({ local, mode }: ReadPlaces): boolean => {
  const dbis = local?.view.dbis ?? []
  const synced = dbis.filter(({ name }) => !DbiName.isPrivate(name))
  const headers = new Set(synced.map(({ name }) => mode.headersOf(name)))
  return dbis.some(({ entries, name }) => entries > 0 && (!DbiName.isPrivate(name) || headers.has(name)))
}

/** Returns why nothing would be sent, or undefined if something would be sent. */
const silence = Effect.fnUntraced(function* (read: ReadPlaces, { instance, receiveOnly, staleNano }: DryRun) {
  if (receiveOnly) return "receive never sends"
  if (read.reports.some((report) => report.instance === instance && report.isRefused === true))
    return "our own newest snapshot is refused, so nothing that would replace it is sent"
  const isCreated = read.reports.at(-1)!.isCreatedByDaemon === true
  if (read.local === undefined && !isCreated) return "the LMDB does not exist or cannot be read"
  if (!hasData(read)) return "the LMDB has no data, and merged data alone is not sent"
  const own = read.places.find(({ report }) => report.instance === instance)
  const stale = yield* isStale(read, own?.report.timestampNano ?? 0n, staleNano)
  return stale ? "the LMDB is stale: see docs/sync.md, Long absence" : undefined
})

/** Returns the number of merged entries by DBI, for the DBIs that would get any. */
const mergingOf = (read: ReadPlaces, walked: ReadonlyArray<{ dbi: DbiName.DbiName; taken: ReadonlyArray<number> }>) =>
  read.reports
    .filter(({ instance }) => instance !== undefined)
    .map((report): Merging => {
      const place = read.places.findIndex((one) => one.report === report)
      const dbis = walked.map(({ dbi, taken }) => ({ dbi, entries: taken[place] ?? 0 }))
      return { report, dbis: dbis.filter(({ entries }) => entries > 0) }
    })

const preview = Effect.fnUntraced(function* (read: ReadPlaces, instance: string, cutOffNano: bigint) {
  const local = read.places.findIndex(({ report }) => report.instance === undefined)
  const own = read.places.findIndex(({ report }) => report.instance === instance)
  const meter = yield* (yield* Progress).measure({
    label: "Comparing",
    unit: "entries",
    total: entriesOf(read.places)
  })
  const walked = yield* walkAll(
    read.places,
    DbiName.isPrivate,
    (order, counts, sources) => new DbiPreview(order, counts, sources, cutOffNano, { local, own }),
    ({ added, counts, taken, unsent }) => ({ taken, unsent, entries: (counts[local]?.entries ?? 0) + added }),
    meter
  )
  return { hasOwn: own >= 0, walked }
})

/** Reads the LMDB in the calling thread and returns the report. All resources are released when it ends. */
export const report = Effect.fn("DryRun.report")(function* (task: DryRun, open: OpenLmdb) {
  const all = yield* readPlaces(task, open)
  if (all._tag === "Unusable") return all
  const { cleaner, cutOffNano, instance, listed, options, staleNano, sweptNano } = task
  const read = withoutStale(all, staleNano)
  const { hasOwn, walked } = yield* preview(read, instance, cutOffNano)
  const known = walked.flatMap(({ dbi, result }) => (result === undefined ? [] : [{ dbi, ...result }]))
  const why = yield* silence(read, task)
  const merged = read.places.flatMap(({ snapshots, states }) =>
    states.map((snapshot, index) => ({ snapshot, dbis: snapshots[index]!.heads.map(({ name }) => name) }))
  )
  const sentDbis = why === undefined ? known.map(({ dbi }) => dbi) : undefined
  const isNative = read.mode.shadow === undefined
  const view = read.local?.view
  return {
    database: options.name,
    local: read.reports.at(-1)!,
    merging: mergingOf(read, known),
    conflicts: walked.flatMap(({ conflict, dbi }) => (conflict === undefined ? [] : [dbi])),
    changes: isNative || view === undefined ? undefined : yield* ApplicationChanges.count(view, read.mode),
    sending:
      why === undefined
        ? {
            entries: known.reduce((sum, { entries }) => sum + entries, 0),
            unsent: hasOwn ? known.reduce((sum, { unsent }) => sum + unsent, 0) : undefined
          }
        : { why },
    deletions: cleaner === undefined ? undefined : yield* CleanPreview.deletions(cleaner, { listed, merged, sentDbis }),
    sweep:
      view === undefined || sweptNano === undefined
        ? undefined
        : yield* SweepPreview.oldTombstones(view, isNative, sweptNano)
  } satisfies DryRunReport
}, Effect.scoped)
