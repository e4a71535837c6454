/** The findings of `verify` for a database, as text and as JSON lines. */
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { hexOf } from "../../domain/bytes/Hex.ts"
import { readable } from "../../domain/snapshot/ReadableBytes.ts"
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import type { DifferentKey } from "./DbiComparison.ts"

/** The newest state of an instance in the bucket, or the local LMDB. */
export interface PlaceReport {
  /** Name of the instance, or undefined for the LMDB. */
  readonly instance: string | undefined
  /** Names of the objects, or the path of the LMDB. */
  readonly objects: ReadonlyArray<string>
  /** Time of the state in nanoseconds since the UNIX epoch. */
  readonly timestampNano: bigint
  /** Why the place could not be read. Absent if it could. */
  readonly problem?: string
  /** Present if the snapshot is valid, but must not be merged here. */
  readonly isRefused?: true
  /** Present if the problem is that the LMDB does not exist yet, and the daemon would create it. */
  readonly isCreatedByDaemon?: true
}

export interface DbiReport {
  readonly dbi: DbiName.DbiName
  readonly counts: ReadonlyArray<{
    readonly place: PlaceReport
    /** Number of entries, tombstones included. */
    readonly entries: number
    readonly tombstones: number
    readonly digest: string
  }>
  /** Two places whose keys are in different orders, because of which the DBI was not compared. */
  readonly conflict: readonly [PlaceReport, PlaceReport] | undefined
}

export interface PairReport {
  readonly from: PlaceReport
  readonly to: PlaceReport
  /** False if `to` need not have everything that `from` has yet. */
  readonly comparable: boolean
  /** The DBIs in which `to` lacks entries or has versions that should have lost. */
  readonly dbis: ReadonlyArray<{
    readonly dbi: DbiName.DbiName
    readonly missing: number
    readonly outdated: number
    readonly examples: ReadonlyArray<DifferentKey>
  }>
}

export interface DatabaseReport {
  readonly database: string
  readonly places: ReadonlyArray<PlaceReport>
  readonly dbis: ReadonlyArray<DbiReport>
  readonly pairs: ReadonlyArray<PairReport>
}

const hasSnapshots = ({ places }: DatabaseReport): boolean => places.some(({ instance }) => instance !== undefined)

/** True if everything could be read, and all comparable places have what they should have. */
export const isGood = (report: DatabaseReport): boolean =>
  hasSnapshots(report) &&
  report.places.every(({ problem }) => problem === undefined) &&
  report.dbis.every(({ conflict }) => conflict === undefined) &&
  report.pairs.every(({ dbis }) => dbis.length === 0)

const nameOf = ({ instance }: PlaceReport): string => instance ?? "the LMDB here"

const placeLine = (width: number, place: PlaceReport): string => {
  const time = place.instance === undefined ? "now" : NanoTimestamp.format(place.timestampNano)
  const problem = place.problem === undefined ? "" : `\n    NOT READABLE: ${place.problem}`
  return `${nameOf(place).padEnd(width)}  ${time.padEnd(25)}  ${place.objects.join(" ")}${problem}\n`
}

const dbiText = (width: number, { conflict, counts, dbi }: DbiReport): string => {
  const head = `\n${DbiName.display(dbi)}\n`
  if (conflict !== undefined) {
    const [one, other] = conflict
    return `${head}    NOT COMPARED: its flags differ, ${nameOf(one)} has its keys in another order than ${nameOf(other)}\n`
  }
  const lines = counts.map(
    ({ digest, entries, place, tombstones }) =>
      `    ${nameOf(place).padEnd(width)}  ${entries} entries, ${tombstones} of them tombstones, digest ${digest.slice(0, 16)}\n`
  )
  return head + lines.join("")
}

const examplesText = (examples: ReadonlyArray<DifferentKey>, now: bigint): string =>
  examples.map(({ key, kind }) => `        ${kind}: ${readable(Buffer.from(key), now)}\n`).join("")

const pairText = ({ comparable, dbis, from, to }: PairReport, now: bigint): string => {
  const head = `${nameOf(to)} `
  if (!comparable)
    return `${head}against ${nameOf(from)}: not comparable yet, because its state is not newer by --grace\n`
  if (dbis.length === 0) return `${head}has all of ${nameOf(from)}\n`
  const parts = dbis.map(
    ({ dbi, examples, missing, outdated }) =>
      `    ${DbiName.display(dbi)}: ${missing} missing, ${outdated} outdated, first\n${examplesText(examples, now)}`
  )
  return `${head}DIFFERS from ${nameOf(from)}\n${parts.join("")}`
}

/** Returns the text. `now`, in nanoseconds, is needed to show keys that are plausible times as times. */
export const text = (report: DatabaseReport, now: bigint): string => {
  const width = Math.max(...report.places.map((place) => nameOf(place).length))
  const none = hasSnapshots(report) ? "" : "NOTHING TO COMPARE WITH: the bucket has no snapshot of this database\n"
  return (
    `\n### ${report.database}\n\n` +
    report.places.map((place) => placeLine(width, place)).join("") +
    none +
    report.dbis.map((dbi) => dbiText(width, dbi)).join("") +
    (report.pairs.length === 0 ? "" : "\n") +
    report.pairs.map((pair) => pairText(pair, now)).join("")
  )
}

const dbiJson = (dbi: DbiName.DbiName) => {
  const named = DbiName.toText(dbi)
  return named === undefined ? { dbiHex: hexOf(DbiName.toBytes(dbi)) } : { dbi: named }
}

const placeJson = ({ instance }: PlaceReport) => instance ?? null

/** Returns one JSON object per line. The `instance` of the LMDB is null. */
export const jsonLines = (report: DatabaseReport): string => {
  const { database } = report
  const lines: ReadonlyArray<object> = [
    ...report.places.map((place) => ({
      database,
      instance: placeJson(place),
      ...(place.instance === undefined ? { path: place.objects[0] } : { objects: place.objects }),
      timestampNano: String(place.timestampNano),
      ...(place.problem === undefined ? {} : { problem: place.problem })
    })),
    ...report.dbis.flatMap(({ conflict, counts, dbi }) => [
      ...counts.map(({ digest, entries, place, tombstones }) => ({
        database,
        ...dbiJson(dbi),
        instance: placeJson(place),
        entries,
        tombstones,
        digest
      })),
      ...(conflict === undefined ? [] : [{ database, ...dbiJson(dbi), conflict: conflict.map(placeJson) }])
    ]),
    ...report.pairs.map(({ comparable, dbis, from, to }) => ({
      database,
      from: placeJson(from),
      to: placeJson(to),
      result: comparable ? (dbis.length === 0 ? "complete" : "differs") : "not comparable yet",
      differences: dbis.map(({ dbi, examples, missing, outdated }) => ({
        ...dbiJson(dbi),
        missing,
        outdated,
        examples: examples.map(({ key, kind }) => ({ key: hexOf(key), kind }))
      }))
    })),
    { database, result: isGood(report) ? "good" : "bad" }
  ]
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("")
}
