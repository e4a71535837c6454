/**
 * The model that databases are compared with: last write wins, written as plainly as docs/sync.md says it, over values
 * instead of bytes. Two databases are the same when their contents are equal.
 */
import * as DbiName from "../../src/domain/DbiName.ts"
import type { DecodedSnapshot } from "../domain/DecodedSnapshot.ts"
import type { RawDbi } from "./engine/Environments.ts"

export interface Version {
  readonly timestamp: bigint
  readonly deleted: boolean
  /** Hexadecimal; empty for a tombstone. */
  readonly value: string
}

/** Of each DBI that is synced, by its key in hexadecimal. */
export type Content = Map<DbiName.DbiName, Map<string, Version>>

/** Whether `remote` takes the place of `local`. */
export const wins = (local: Version | undefined, remote: Version): boolean => {
  if (local === undefined) return true
  if (local.timestamp !== remote.timestamp) return local.timestamp < remote.timestamp
  if (local.value !== remote.value) return remote.value < local.value
  return remote.deleted && !local.deleted
}

const dbiOf = (content: Content, name: DbiName.DbiName): Map<string, Version> => {
  const dbi = content.get(name) ?? new Map<string, Version>()
  content.set(name, dbi)
  return dbi
}

export const put = (content: Content, name: DbiName.DbiName, key: string, version: Version): void => {
  const dbi = dbiOf(content, name)
  if (wins(dbi.get(key), version)) dbi.set(key, version)
}

export const mergeSnapshot = (
  content: Content,
  { dbis, formatVersion }: Pick<DecodedSnapshot, "dbis" | "formatVersion">
): Content => {
  for (const { entries, name } of dbis) {
    if (DbiName.isPrivate(name)) continue
    dbiOf(content, name)
    for (const { flags, key, timestampNano: timestamp, value } of entries) {
      const deleted = (flags & 1) === 1 || (formatVersion === 1 && value === "")
      put(content, name, key, { timestamp, deleted, value: deleted ? "" : value })
    }
  }
  return content
}

export const mergeContent = (content: Content, other: Content): Content => {
  for (const [name, entries] of other) {
    dbiOf(content, name)
    for (const [key, version] of entries) put(content, name, key, version)
  }
  return content
}

/** Of a raw value, header first. */
const versionOf = (value: string): Version => {
  const deleted = (Number.parseInt(value.slice(34, 36), 16) & 1) === 1
  const blocks = Number.parseInt(value.slice(44, 48), 16)
  return { timestamp: BigInt(`0x${value.slice(0, 16)}`), deleted, value: deleted ? "" : value.slice(48 + 16 * blocks) }
}

export const contentOf = (dbis: ReadonlyArray<RawDbi>): Content => {
  const content: Content = new Map()
  for (const { entries, name } of dbis) {
    if (!DbiName.isPrivate(name)) content.set(name, new Map(entries.map(({ key, value }) => [key, versionOf(value)])))
  }
  return content
}

/** For assertions: DBIs and keys in order. */
export const shown = (content: Content): Record<string, ReadonlyArray<string>> =>
  Object.fromEntries(
    Array.from(content)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, entries]) => [
        DbiName.display(name),
        Array.from(entries)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, { deleted, timestamp, value }]) => `${key} ${timestamp} ${deleted ? "deleted" : `"${value}"`}`)
      ])
  )
