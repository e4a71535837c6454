/** Snapshots and native values, written as tests want to read them. */
import { gzipSync } from "node:zlib"
import * as DbiName from "../../../src/domain/DbiName.ts"
import * as NativeHeader from "../../../src/domain/NativeHeader.ts"
import { type DecodedEntry, type DecodedSnapshot, encode } from "../../domain/DecodedSnapshot.ts"
import type { RawDbi } from "./Environments.ts"

/** Key, timestamp, value; null is a tombstone. */
export type Line = readonly [key: string, timestamp: number | bigint, value: string | null]

export type Lines = Readonly<Record<string, ReadonlyArray<Line>>>

const hex = (text: string) => Buffer.from(text, "utf8").toString("hex")

const byKey = ([a]: Line, [b]: Line) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const entry = ([key, timestamp, value]: Line): DecodedEntry => ({
  key: hex(key),
  value: hex(value ?? ""),
  timestampNano: BigInt(timestamp),
  flags: value === null ? 1 : 0
})

export const dbi = (name: string, lines: ReadonlyArray<Line>) => ({
  name: DbiName.fromText(name),
  flags: 0n,
  transform: "",
  entries: lines.map(entry)
})

/** With DBIs in the order given. */
export const ofDbis = (dbis: DecodedSnapshot["dbis"], formatVersion = 3): DecodedSnapshot => ({
  formatVersion,
  compatVersion: 1,
  meta: {
    generationID: "GX",
    instanceID: "b",
    hostname: "host-b",
    databaseName: "main",
    lmdbTxnID: 7n,
    timestampNano: 1_000n,
    fromLmdbTxnID: 0n
  },
  dbis
})

/** With keys in order. */
export const snapshot = (content: Lines): DecodedSnapshot =>
  ofDbis(Object.entries(content).map(([name, lines]) => dbi(name, lines.toSorted(byKey))))

/** As it is in the bucket. */
export const objectOf = (decoded: DecodedSnapshot): Uint8Array<ArrayBuffer> =>
  new Uint8Array(gzipSync(encode(decoded), { level: 1 }))

export const object = (content: Lines): Uint8Array<ArrayBuffer> => objectOf(snapshot(content))

/** A value as an application stores it. */
export const nativeValue = (timestamp: number | bigint, value: string | null, transaction = 1): Buffer => {
  const content = Buffer.from(value ?? "", "utf8")
  const bytes = Buffer.alloc(NativeHeader.size + content.length)
  const nanos = BigInt(timestamp)
  NativeHeader.writeHeader(
    bytes,
    0,
    Number(nanos >> 32n),
    Number(nanos & 0xffff_ffffn),
    0,
    transaction,
    value === null,
    0
  )
  content.copy(bytes, NativeHeader.size)
  return bytes
}

/** The same content, as an application stores it. */
export const rawDbis = (content: Lines): ReadonlyArray<RawDbi> =>
  Object.entries(content).map(([name, lines]) => ({
    name: DbiName.fromText(name),
    flags: 0,
    entries: lines.map(([key, timestamp, value]) => ({
      key: hex(key),
      value: nativeValue(timestamp, value).toString("hex")
    }))
  }))

/** `count` entries with rising keys and values of `bytes` bytes. `value` says which. */
export const many = (count: number, timestamp: number, bytes: number, value = "v"): ReadonlyArray<Line> =>
  Array.from(
    { length: count },
    (_, i) => [`key-${String(i).padStart(8, "0")}`, timestamp, value.padEnd(bytes, `${i}`)] as const
  )
