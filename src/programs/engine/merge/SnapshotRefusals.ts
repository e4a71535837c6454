/**
 * The rules by which a snapshot that was read to its end is refused: it is intact, but merging it here would be wrong
 * or impossible.
 */
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { type DbiHead, SnapshotRefused, versionRefusal } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import type { Mode } from "./Mode.ts"

/** The LMDB that a snapshot is merged into. */
export interface ReceivingLmdb {
  readonly mode: Mode
  /** The LMDB before anything is written. */
  readonly before: Pick<ReadTransaction, "dbis" | "plainKeys">
  /** Returns the application's DBI, if it exists. */
  readonly local: (dbi: DbiName.DbiName) => Dbi | undefined
}

/** Returns why a DBI of a snapshot must not be merged, or undefined if it may be. */
export const refusalOf = (lmdb: ReceivingLmdb, head: DbiHead, formatVersion: number): string | undefined => {
  const { before, mode } = lmdb
  const { name } = head
  if (DbiName.isPrivate(name)) return undefined
  const headers = mode.headersOf(name)
  const plainKey = before.plainKeys.find((key) => key === name || key === headers)
  if (plainKey !== undefined) {
    return `the root of the LMDB has a plain key "${DbiName.display(plainKey)}", so no DBI of that name can be created: remove the key`
  }
  return mode.refusal(head, formatVersion, lmdb.local(name), lmdb.local(headers))
}

const refuse = ({ name }: DbiHead, problem: string): never => {
  throw new SnapshotRefused({ problem: `DBI "${DbiName.display(name)}": ${problem}` })
}

/**
 * Refuses DBIs that are in several messages with different flags, or as pairs: `PairOrderCheck` only checks the pairs
 * within one message.
 */
const refuseRepeated = (lmdb: ReceivingLmdb, heads: ReadonlyArray<DbiHead>): void => {
  const earlier = new Map<DbiName.DbiName, DbiHead>()
  for (const head of heads) {
    const before = earlier.get(head.name)
    earlier.set(head.name, head)
    if (before === undefined || DbiName.isPrivate(head.name)) continue
    if (before.flags !== head.flags || before.transform !== head.transform)
      refuse(head, "it comes twice, with different flags")
    if (lmdb.mode.isPairs(head, lmdb.local(head.name)))
      refuse(head, "it is a MDB_DUPSORT DBI that comes twice, which no version of Lightning Stream writes")
  }
}

/**
 * Refuses a snapshot with too many DBIs. Without this check, LMDB would report the problem in the middle of the write
 * transaction.
 */
const refuseTooMany = ({ before, mode }: ReceivingLmdb, dbis: ReadonlyArray<DbiName.DbiName>): void => {
  const names = new Set(before.dbis.map(({ name }) => name))
  const existing = names.size
  for (const name of dbis) names.add(name).add(mode.headersOf(name))
  if (names.size === existing || names.size <= mode.room.maxDbs) return
  const more = mode.shadow === undefined ? "" : ", shadows included"
  const problem = `with its DBIs there would be ${names.size}${more}, more than options.max_dbs, ${mode.room.maxDbs}: raise options.max_dbs, and restart`
  throw new SnapshotRefused({ problem })
}

/** The content of a snapshot as known at its end. */
export interface SnapshotContents {
  readonly formatVersion: number
  readonly compatVersion: number
  /** The head of each DBI message. */
  readonly heads: ReadonlyArray<DbiHead>
  /** The DBIs that are merged, each once. */
  readonly dbis: ReadonlyArray<DbiName.DbiName>
}

/** Throws if the snapshot must not be merged. */
export const checkAllowed = (
  lmdb: ReceivingLmdb,
  { compatVersion, dbis, formatVersion, heads }: SnapshotContents
): void => {
  const version = versionRefusal(formatVersion, compatVersion)
  if (version !== undefined) throw new SnapshotRefused({ problem: version })
  for (const head of heads) {
    const problem = refusalOf(lmdb, head, formatVersion)
    if (problem !== undefined) refuse(head, problem)
  }
  refuseRepeated(lmdb, heads)
  refuseTooMany(lmdb, dbis)
}
