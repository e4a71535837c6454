/**
 * `stats`: LMDB's statistics of each DBI, and the number of tombstones, which are counted by walking the DBI. A
 * database that fails is reported, and the next one follows. No files are created, and nothing is written.
 */
import { Effect } from "effect"
import * as DbiFlags from "../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { type DbiStatistics, Lmdb, type LmdbInfo } from "../../services/Lmdb.ts"
import type { Stats, TaskTarget } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import { walkHeaders } from "../engine/HeaderWalk.ts"
import { columns } from "./Columns.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

const hasHeaders = ({ isNative }: TaskTarget, dbi: DbiName.DbiName): boolean =>
  ShadowName.isShadow(dbi) || (isNative && !DbiName.isPrivate(dbi))

/**
 * Counts tombstones by the displayed name of the DBI. A DBI that cannot be walked is missing and counts as a problem.
 */
const tombstonesOf = Effect.fnUntraced(function* (target: TaskTarget) {
  const transaction = yield* (yield* Lmdb).read
  const dbis = transaction.dbis.filter(({ name }) => hasHeaders(target, name))
  const total = dbis.reduce((sum, { entries }) => sum + entries, 0)
  const meter = yield* (yield* Progress).measure({ label: `Counting ${target.database}`, unit: "entries", total })
  const tombstones = new Map<string, number>()
  let problems = 0
  for (const { name } of dbis) {
    let count = 0
    const visit = (value: Uint8Array, start: number) => {
      if (NativeHeader.isDeleted(value, start)) count++
    }
    yield* walkHeaders(transaction, name, visit, meter).pipe(
      Effect.map(() => void tombstones.set(DbiName.display(name), count)),
      Effect.catch((error) => {
        problems++
        return Effect.logError("Cannot count the tombstones of a DBI", error)
      })
    )
  }
  return { tombstones, problems }
}, Effect.scoped)

interface Found {
  readonly target: TaskTarget
  readonly path: string
  readonly info: LmdbInfo
  readonly tombstones: ReadonlyMap<string, number>
}

const bytesOf = ({ info }: Found, { branchPages, leafPages, overflowPages }: DbiStatistics): number =>
  (branchPages + leafPages + overflowPages) * info.pageSize

const textOf = (found: Found): string => {
  const { info, path, target, tombstones } = found
  const percent = ((100 * info.used) / info.mapSize).toFixed(1)
  const totals: ReadonlyArray<readonly [string, string | number]> = [
    ["Map size", info.mapSize],
    ["Used", `${info.used} (${percent}% of the map)`],
    ["File size", info.fileSize],
    ["Page size", info.pageSize],
    ["Last transaction", String(info.lastTransactionId)],
    ["Readers", `${info.readers} of ${info.maxReaders}`]
  ]
  const head = ["DBI", "Entries", "Tombstones", "Depth", "Branch", "Leaf", "Overflow", "Bytes", "Flags"]
  const rows = info.dbis.map((dbi) => [
    dbi.name,
    String(dbi.entries),
    String(tombstones.get(dbi.name) ?? "-"),
    String(dbi.depth),
    String(dbi.branchPages),
    String(dbi.leafPages),
    String(dbi.overflowPages),
    String(bytesOf(found, dbi)),
    DbiFlags.display(dbi.flags)
  ])
  return (
    `\n### ${target.database} :: ${path}\n\n` +
    totals.map(([name, value]) => `${`${name}:`.padEnd(18)}${value}\n`).join("") +
    (rows.length === 0 ? "" : `\n${columns([head, ...rows], "lrrrrrrrl")}`)
  )
}

const jsonOf = (found: Found): string => {
  const { info, path, target, tombstones } = found
  const { dbis, fileSize, lastTransactionId, mapSize, maxReaders, pageSize, readers, used } = info
  const lines = dbis.map((dbi) => ({
    dbi: dbi.name,
    flags: dbi.flags,
    entries: dbi.entries,
    tombstones: tombstones.get(dbi.name) ?? null,
    depth: dbi.depth,
    branchPages: dbi.branchPages,
    leafPages: dbi.leafPages,
    overflowPages: dbi.overflowPages,
    bytes: bytesOf(found, dbi)
  }))
  const whole = { mapSize, used, fileSize, pageSize, lastTransactionID: String(lastTransactionId), readers, maxReaders }
  return `${JSON.stringify({ database: target.database, path, ...whole, dbis: lines })}\n`
}

const statsOf = Effect.fnUntraced(function* (target: TaskTarget, format: Stats["format"]) {
  const lmdb = yield* Lmdb
  const { problems, tombstones } = yield* tombstonesOf(target)
  const found = { target, path: lmdb.path, info: yield* lmdb.info, tombstones }
  return { code: problems === 0 ? 0 : 1, text: format === "text" ? textOf(found) : jsonOf(found) }
})

export const run = Effect.fn("LmdbStats.run")(function* ({ format, targets }: Stats, open: OpenLmdb) {
  let code = 0
  let text = ""
  for (const target of targets) {
    const result = yield* Effect.provide(statsOf(target, format), open(target.lmdb), { local: true }).pipe(
      Effect.catch((error) => Effect.as(Effect.logError("Cannot read the LMDB", error), { code: 1, text: "" })),
      Effect.annotateLogs({ db: target.database })
    )
    code |= result.code
    text += result.text
  }
  return { code, text }
})
