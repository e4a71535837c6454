/**
 * `experimental pdns-v5-fix-duplicate-domains`: with schema 5 of PowerDNS 4.8, two servers can create a zone with the
 * same name but different ids, so that both have two such zones after a sync. The zone with the oldest time is kept,
 * and of two with the same time the one with the smaller id, so that all servers agree. The others are listed, or
 * renamed so that they can be deleted.
 */
import { Clock, Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import {
  displayName,
  formatDomainKey,
  isRenamed,
  parseDomainKey,
  type PdnsDomainKey,
  renamed
} from "../../domain/lmdb/PdnsDomainKey.ts"
import { hexOf } from "../../domain/bytes/Hex.ts"
import { rfc3339 } from "../../domain/snapshot/ReadableBytes.ts"
import { type Dbi, Lmdb, type ReadTransaction, type WriteTransaction } from "../../services/Lmdb.ts"
import type { FixDuplicateDomains } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import { notNative } from "../engine/NotNative.ts"
import { TaskFailed } from "./TaskFailed.ts"

const pdns = DbiName.fromText("pdns")
const domains = DbiName.fromText("domains_v5_0")
const versionKey = Buffer.from("schemaversion")
const supportedVersion = 5

interface Zone {
  readonly key: PdnsDomainKey
  readonly timestampNano: bigint
}

interface Duplicates {
  readonly stays: Zone
  readonly others: ReadonlyArray<Zone>
}

const timestampOf = (value: Uint8Array, start: number): bigint =>
  (BigInt(NativeHeader.timestampHigh(value, start)) << 32n) | BigInt(NativeHeader.timestampLow(value, start))

const requireDbi = (dbis: ReadonlyArray<Dbi>, name: DbiName.DbiName) =>
  dbis.some((dbi) => dbi.name === name)
    ? Effect.void
    : new TaskFailed({
        problem: `there is no DBI "${DbiName.display(name)}": it is not the main database of PowerDNS 4.8`
      })

/** Returns the schema version, or a text that says why there is none. */
const versionIn = (transaction: ReadTransaction): number | string => {
  const cursor = transaction.cursor(pdns, versionKey)
  try {
    if (!cursor.next() || Buffer.compare(cursor.key.subarray(cursor.keyStart, cursor.keyEnd), versionKey) !== 0)
      return `DBI "pdns" has no key "schemaversion"`
    const { value, valueEnd, valueStart } = cursor
    const start = NativeHeader.readHeader(value, valueStart, valueEnd)
    if (start < 0 || valueEnd - start !== 4)
      return `"schemaversion" is not a number of 4 bytes behind a native header: 0x${hexOf(value, valueStart, valueEnd)}`
    return new DataView(value.buffer, value.byteOffset + start, 4).getUint32(0)
  } finally {
    cursor.close()
  }
}

/** Fails unless this is the main database of a PowerDNS with schema 5. */
const requireSchema = Effect.fnUntraced(function* (transaction: ReadTransaction) {
  for (const name of [pdns, domains]) yield* requireDbi(transaction.dbis, name)
  const version = yield* attempt(() => versionIn(transaction))
  if (version === supportedVersion) return
  const problem = typeof version === "number" ? `the schema version is ${version}` : version
  return yield* new TaskFailed({ problem: `${problem}: only version ${supportedVersion} (PowerDNS 4.8) is supported` })
})

const compareAge = (a: Zone, b: Zone): number =>
  a.timestampNano === b.timestampNano ? a.key.id - b.key.id : a.timestampNano < b.timestampNano ? -1 : 1

/**
 * Collects duplicates from live entries in the order of their keys, in which entries with the same name are adjacent.
 */
class Found {
  readonly duplicates: Array<Duplicates> = []
  /** Keys that an earlier run has renamed. */
  readonly renamed: Array<PdnsDomainKey> = []
  private same: Array<Zone> = []

  add(zone: Zone): void {
    if (isRenamed(zone.key)) this.renamed.push(zone.key)
    if (this.same[0]?.key.name !== zone.key.name) this.endName()
    this.same.push(zone)
  }

  endName(): void {
    const [stays, ...others] = this.same.sort(compareAge)
    if (others.length > 0) this.duplicates.push({ stays: stays!, others })
    this.same = []
  }
}

const findIn = Effect.fnUntraced(function* (transaction: ReadTransaction, database: string) {
  const total = transaction.dbis.find(({ name }) => name === domains)?.entries
  const meter = yield* (yield* Progress).measure({ label: `Reading the zones of ${database}`, unit: "entries", total })
  const found = new Found()
  let wrongKey: string | undefined
  const cursor = yield* Effect.acquireRelease(
    attempt(() => transaction.cursor(domains)),
    (cursor) => Effect.sync(() => cursor.close())
  )
  yield* inSlices((deadline) => {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        if (!cursor.next()) {
          meter.add(step)
          return true
        }
        const { keyEnd, keyStart, value, valueEnd, valueStart } = cursor
        const code = NativeHeader.readHeader(value, valueStart, valueEnd)
        if (code < 0) throw notNative(domains, cursor, code)
        if (NativeHeader.isDeleted(value, valueStart)) continue
        const key = parseDomainKey(cursor.key, keyStart, keyEnd)
        wrongKey = key === undefined ? hexOf(cursor.key, keyStart, keyEnd) : undefined
        if (key === undefined) return true
        found.add({ key, timestampNano: timestampOf(value, valueStart) })
      }
      meter.add(stepsPerLook)
      if (performance.now() >= deadline) return false
    }
  })
  if (wrongKey !== undefined)
    return yield* new TaskFailed({ problem: `DBI "domains_v5_0", key 0x${wrongKey}: not a name and an id` })
  found.endName()
  return found
}, Effect.scoped)

/** Puts an entry whose value consists of a header only, as in all entries of the index. */
const put = (transaction: WriteTransaction, key: PdnsDomainKey, timestampNano: bigint, deleted: boolean): void => {
  const bytes = formatDomainKey(key)
  const value = new Uint8Array(NativeHeader.size)
  const { id } = transaction
  const halves = [timestampNano >> 32n, timestampNano & 0xffff_ffffn, id >> 32n, id & 0xffff_ffffn].map(Number)
  NativeHeader.writeHeader(value, 0, halves[0]!, halves[1]!, halves[2]!, halves[3]!, deleted, 0)
  transaction.put(domains, bytes, 0, bytes.length, value, 0, value.length, false)
}

/**
 * Renames a zone. The new time is later than that of the replaced entry, whatever the clocks, so that the change wins.
 */
const rename = (transaction: WriteTransaction, zone: Zone, now: bigint): void => {
  const time = now > zone.timestampNano ? now : zone.timestampNano + 1n
  put(transaction, zone.key, time, true)
  put(transaction, renamed(zone.key), time, false)
}

const idOf = ({ key, timestampNano }: Zone): string => `id ${key.id} of ${rfc3339(timestampNano)}`

const textOf = (duplicates: ReadonlyArray<Duplicates>, leftToDelete: ReadonlyArray<string>, didRename: boolean) => {
  const lines = duplicates.flatMap(({ others, stays }) => [
    `${displayName(stays.key)}: ${idOf(stays)} stays`,
    ...others.map((other) =>
      didRename
        ? `${displayName(other.key)}: ${idOf(other)} renamed to ${displayName(renamed(other.key))}`
        : `${displayName(other.key)}: ${idOf(other)} is a duplicate`
    )
  ])
  const left =
    leftToDelete.length === 0
      ? []
      : ["", "Zones to delete, each with pdnsutil delete-zone ZONE:", "", ...leftToDelete.map((name) => `    ${name}`)]
  const hint =
    duplicates.length > 0 && !didRename ? ["", "Nothing was changed: --dangerous-do-rename renames the duplicates"] : []
  const found = lines.length === 0 ? ["There are no duplicate zones"] : lines
  return [...found, ...hint, ...left].map((line) => `${line}\n`).join("")
}

const fix = Effect.fnUntraced(function* (transaction: WriteTransaction, database: string, now: bigint) {
  yield* requireSchema(transaction.before)
  const { duplicates, renamed: earlier } = yield* findIn(transaction.before, database)
  const others = duplicates.flatMap(({ others }) => others)
  yield* attempt(() => {
    for (const other of others) rename(transaction, other, now)
  })
  return { duplicates, left: [...earlier, ...others.map(({ key }) => renamed(key))] }
})

const look = Effect.fnUntraced(function* (database: string) {
  const transaction = yield* (yield* Lmdb).read
  yield* requireSchema(transaction)
  const { duplicates, renamed: left } = yield* findIn(transaction, database)
  return { duplicates, left }
}, Effect.scoped)

/** Runs the task and returns the text to print. */
export const run = Effect.fn("FixDuplicateDomains.run")(function* (task: FixDuplicateDomains) {
  const { write } = yield* Lmdb
  const progress = yield* Progress
  const now = yield* Clock.currentTimeNanos
  const { database } = task.target
  const { duplicates, left } = task.rename
    ? (yield* write((transaction) => Effect.provideService(fix(transaction, database, now), Progress, progress))).value
    : yield* look(database)
  return textOf(duplicates, left.map(displayName).toSorted(), task.rename)
})
