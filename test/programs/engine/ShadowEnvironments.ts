/**
 * Environments in shadow mode, as tests want to write and read them: what the application has, and what the shadow says
 * of it.
 */
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as DbiName from "../../../src/domain/DbiName.ts"
import * as DupsortKey from "../../../src/domain/DupsortKey.ts"
import * as ShadowName from "../../../src/domain/ShadowName.ts"
import { dupsortTransform } from "../../../src/domain/SnapshotRules.ts"
import type { DatabaseOptions } from "../../../src/services/Database.ts"
import type { WriteTransaction } from "../../../src/services/Lmdb.ts"
import type { DecodedDbi } from "../../domain/DecodedSnapshot.ts"
import { type Content, contentOf } from "../LastWriteWins.ts"
import { databaseOptions, dump, type RawDbi, raw } from "./Environments.ts"

export const DUPSORT = 4
export const INTEGERKEY = 8
export const DUPFIXED = 16

export const shadowOptions = (
  shadow: Partial<DatabaseOptions["shadow"]> = {},
  overrides: Partial<DatabaseOptions> = {}
): DatabaseOptions => databaseOptions({ shadow: { dupsortHack: false, createFlags: {}, ...shadow }, ...overrides })

/** Keys and values of tests are text, one character a byte. */
export const bytes = (text: string): Buffer => Buffer.from(text, "latin1")

/** As an application does it: makes the DBI if it is not there. */
export const put =
  (dbi: string, pairs: ReadonlyArray<readonly [key: string, value: string]>, flags = 0) =>
  (transaction: WriteTransaction): void => {
    const name = DbiName.fromText(dbi)
    if (!transaction.dbis().some((other) => other.name === name)) transaction.create(name, flags)
    for (const [key, value] of pairs)
      transaction.put(name, bytes(key), 0, key.length, bytes(value), 0, value.length, false)
  }

export const remove =
  (dbi: string, ...keys: ReadonlyArray<string>) =>
  (transaction: WriteTransaction): void => {
    for (const key of keys) transaction.remove(DbiName.fromText(dbi), bytes(key), 0, key.length)
  }

export const removePair =
  (dbi: string, key: string, value: string) =>
  (transaction: WriteTransaction): void =>
    void transaction.removePair(DbiName.fromText(dbi), bytes(key), 0, key.length, bytes(value), 0, value.length)

export const drop =
  (dbi: string) =>
  (transaction: WriteTransaction): void =>
    transaction.drop(DbiName.fromText(dbi))

/** Little-endian. */
export const integer = (value: number, length: 4 | 8): string => {
  const key = Buffer.alloc(length)
  key.writeUIntLE(value, 0, 4)
  return key.toString("latin1")
}

/** The shadow's key of a pair. */
export const pairKey = (key: string, value: string): string => {
  const target = Buffer.alloc(DupsortKey.largestShadowKey)
  const length = DupsortKey.write(target, bytes(key), 0, key.length, bytes(value), 0, value.length)
  return target.subarray(0, length).toString("latin1")
}

const printable = (text: string) => (/^[ -~]*$/.test(text) ? text : `0x${Buffer.from(text, "latin1").toString("hex")}`)
const fromHex = (hex: string) => Buffer.from(hex, "hex").toString("latin1")

const timeOf = (nanos: bigint) => (nanos < 1_000_000n ? `${nanos}ns` : `${Number(nanos) / 1e6}ms`)

const find = (dbis: ReadonlyArray<RawDbi>, name: DbiName.DbiName) => dbis.find((dbi) => dbi.name === name)

/** `key=value`, in LMDB's order; undefined when there is no such DBI. */
export const main = (dbi: string) =>
  Effect.map(raw, (dbis) =>
    find(dbis, DbiName.fromText(dbi))?.entries.map(
      ({ key, value }) => `${printable(fromHex(key))}=${printable(fromHex(value))}`
    )
  )

/** By DBI of the application: what its shadow says. */
export const shadowContent = Effect.map(raw, (dbis): Content => {
  const named = dbis.flatMap(({ name, ...rest }) =>
    name.startsWith("_sync_shadow_") ? [{ name: DbiName.fromText(name.slice(13)), ...rest }] : []
  )
  return contentOf(named)
})

/** `key=value @time`, or `key deleted @time`, in LMDB's order. Times in milliseconds, below one in nanoseconds. */
export const shadow = (dbi: string) =>
  Effect.map(shadowContent, (content) => {
    const entries = content.get(DbiName.fromText(dbi))
    return (
      entries &&
      Array.from(
        entries,
        ([key, { deleted, timestamp, value }]) =>
          `${printable(fromHex(key))}${deleted ? " deleted" : `=${printable(fromHex(value))}`} @${timeOf(timestamp)}`
      )
    )
  })

export const shadowFlagsOf = (dbi: string) =>
  Effect.map(raw, (dbis) => find(dbis, ShadowName.of(DbiName.fromText(dbi)))?.flags)

/** Key, milliseconds, value; null is a tombstone. */
export type Entry = readonly [key: string, millis: number, value: string | null]

/** A DBI of a snapshot, with its entries in the order given. */
export const theirs = (name: string, entries: ReadonlyArray<Entry>, flags = 0): DecodedDbi => ({
  name: DbiName.fromText(name),
  flags: BigInt(flags),
  transform: (flags & DUPSORT) === 0 ? "" : dupsortTransform,
  entries: entries.map(([key, millis, value]) => ({
    key: bytes(key).toString("hex"),
    value: bytes(value ?? "").toString("hex"),
    timestampNano: BigInt(Math.round(millis * 1e6)),
    flags: value === null ? 1 : 0
  }))
})

/** The copy main → shadow at that time; the result of the dump that makes it. */
export const copyAt = (millis: number) =>
  Effect.andThen(
    TestClock.setTime(millis),
    Effect.map(dump(), ({ result }) => result)
  )
