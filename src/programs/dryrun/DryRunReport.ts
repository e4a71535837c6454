/** The findings of `sync --dry-run` for a database, and their text. */
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { Deletion } from "../sync/CleanerPlan.ts"
import type { PlaceReport } from "../verify/VerifyReport.ts"
import type { ApplicationChanges } from "./ApplicationChanges.ts"

export interface Merging {
  /** The snapshot, with the problem if it cannot be merged. */
  readonly report: PlaceReport
  /** The DBIs that would get entries. */
  readonly dbis: ReadonlyArray<{ readonly dbi: DbiName.DbiName; readonly entries: number }>
}

export interface DryRunReport {
  readonly database: string
  /** The LMDB, with the problem if it cannot be read. */
  readonly local: PlaceReport
  readonly merging: ReadonlyArray<Merging>
  /** DBIs whose keys are in different orders. */
  readonly conflicts: ReadonlyArray<DbiName.DbiName>
  /** Changes of the application in shadow mode, or undefined in native mode. */
  readonly changes: ApplicationChanges | undefined
  readonly sending:
    | { readonly why: string }
    /**
     * `unsent` is the number of entries that our newest snapshot does not have, or undefined if there is no such
     * snapshot.
     */
    | { readonly entries: number; readonly unsent: number | undefined }
  /** Objects that would be deleted, or undefined if the cleaner is off. */
  readonly deletions: ReadonlyArray<Deletion> | undefined
  /** Numbers of entries and of old tombstones, or undefined if the sweeper is off. */
  readonly sweep: { readonly entries: number; readonly old: number } | undefined
}

/** A missing file that the daemon would create is no problem. */
const problemOf = ({ isCreatedByDaemon, problem }: PlaceReport): string | undefined =>
  isCreatedByDaemon === true ? undefined : problem

export const isGood = ({ conflicts, local, merging }: DryRunReport): boolean =>
  problemOf(local) === undefined &&
  conflicts.length === 0 &&
  merging.every(({ report }) => report.problem === undefined)

const mergingText = ({ dbis, report }: Merging): string => {
  const names = `${report.instance ?? ""} (${report.objects.join(" ")})`
  if (report.problem !== undefined) return `    NOT from ${names}: ${report.problem}\n`
  const entries = dbis.map(({ dbi, entries }) => `${entries} in ${DbiName.display(dbi)}`).join(", ")
  return `    from ${names}: ${entries === "" ? "nothing new" : `entries: ${entries}`}\n`
}

const changesText = ({ put, removed }: ApplicationChanges): string =>
  `    before that, changes of the application since the last copy: ${put} added or changed, ${removed} removed\n`

const sendingText = ({ changes, sending }: DryRunReport): string => {
  if ("why" in sending) return `    nothing: ${sending.why}\n`
  // The changes get their headers only when they are copied, so it is not known which of them are new keys.
  const more = changes === undefined || changes.put === 0 ? "" : ` and up to ${changes.put} more by these changes`
  const { entries, unsent } = sending
  const difference =
    unsent === undefined ? "the first of this instance" : `${unsent} of them not in our newest one in the bucket`
  return `    a snapshot of ${entries} entries${more}, ${difference}\n`
}

const deletionsText = (deletions: DryRunReport["deletions"]): string => {
  if (deletions === undefined) return "    nothing: the cleaner is off\n"
  if (deletions.length === 0) return "    nothing\n"
  return deletions.map(({ name, reason }) => `    after must_keep_interval: ${name.text} (${reason})\n`).join("")
}

const sweepText = (sweep: DryRunReport["sweep"]): string =>
  sweep === undefined
    ? "    nothing: the sweeper is off\n"
    : `    ${sweep.old} tombstones that are older than retention_days, of ${sweep.entries} entries\n`

export const text = (report: DryRunReport): string => {
  const { changes, conflicts, database, deletions, local, merging, sweep } = report
  const created = local.isCreatedByDaemon === true ? "the file does not exist yet, and would be created\n" : ""
  const unreadable = problemOf(local) === undefined ? "" : `NOT READABLE: ${local.problem}\n`
  const conflict = conflicts.map((dbi) => `    NOT ${DbiName.display(dbi)}: its flags differ between instances\n`)
  return (
    `\n### ${database} (${local.objects.join()})\n\n${created}${unreadable}merge\n` +
    (merging.length === 0 ? "    nothing: the bucket has no snapshot of this database\n" : "") +
    (changes === undefined ? "" : changesText(changes)) +
    merging.map(mergingText).join("") +
    conflict.join("") +
    `send\n${sendingText(report)}delete from the bucket\n${deletionsText(deletions)}` +
    `remove from the LMDB\n${sweepText(sweep)}`
  )
}
