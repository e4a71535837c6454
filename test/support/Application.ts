/**
 * An application with native values in its LMDB, which runs beside the daemon of a test as a separate process (see
 * LmdbApplication). It opens the file with the given map size, and creates it if it does not exist.
 */
import { Effect } from "effect"
import * as LmdbApplication from "./fakes/LmdbApplication.ts"

export interface NativeEntry {
  /** Hexadecimal. */
  readonly key: string
  readonly timestampNano: bigint
  readonly isDeleted: boolean
  /** Hexadecimal. */
  readonly value: string
}

/** The entries of each DBI, in the order of the LMDB. */
export type Content = Readonly<Record<string, ReadonlyArray<NativeEntry>>>

const headerBytes = 24

export const hex = (text: string) => Buffer.from(text).toString("hex")

/** Returns a value as it is in the LMDB, in hexadecimal. */
export const native = (value: string | Uint8Array, timestampNano: bigint, isDeleted = false): string => {
  const header = Buffer.alloc(headerBytes)
  header.writeBigUInt64BE(timestampNano)
  header[17] = isDeleted ? 1 : 0
  return Buffer.concat([header, Buffer.from(value)]).toString("hex")
}

const readNative = (key: string, value: string): NativeEntry => {
  const bytes = Buffer.from(value, "hex")
  if (bytes.length < headerBytes || bytes[16] !== 0) throw new Error(`no native header: ${key} ${value}`)
  return {
    key,
    timestampNano: bytes.readBigUInt64BE(),
    isDeleted: (bytes[17]! & 1) === 1,
    value: bytes.subarray(headerBytes + 8 * bytes.readUInt16BE(22)).toString("hex")
  }
}

/** Parses a dump. Omits transaction ids and extension blocks, which differ between LMDBs. */
export const contentOf = (dump: Readonly<Record<string, ReadonlyArray<readonly [string, string]>>>): Content =>
  Object.fromEntries(
    Object.entries(dump).map(([dbi, entries]) => [dbi, entries.map(([key, value]) => readNative(key, value))])
  )

export const megabyte = 2 ** 20

/**
 * Starts an application, which runs until the scope closes. Its entries are in the DBI `records`. Keys and values are
 * text.
 */
export const open = Effect.fnUntraced(function* (path: string, mapSize = megabyte) {
  const process = yield* LmdbApplication.make({ path, mapSize })
  yield* process.write({ do: "create", dbi: "records", flags: 0 })
  const put = (key: string, value: string | Uint8Array, timestampNano: bigint, isDeleted = false) =>
    process.write({ do: "put", dbi: "records", key: hex(key), value: native(value, timestampNano, isDeleted) })
  return {
    ...process,
    put,
    /** The live records. */
    records: Effect.map(process.send({ do: "list", dbi: "records" }), ({ entries }) =>
      Object.fromEntries(
        entries
          .map(([key, value]) => readNative(key, value))
          .filter(({ isDeleted }) => !isDeleted)
          .map(({ key, value }) => [Buffer.from(key, "hex").toString(), Buffer.from(value, "hex").toString()])
      )
    )
  }
})
