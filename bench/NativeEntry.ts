/** Single entries with a native header (docs/format.md), written and looked up as an application would. */
import * as Bare from "./BareLmdb.ts"

const headerBytes = 24

const setKey = (key: string): void => {
  const bytes = Buffer.from(key)
  Object.assign(Bare.toPut, { key: bytes, keyFrom: 0, keyTo: bytes.length })
}

/** Writes `text` under `key` with the time `timestampNano`, in a transaction that is open. */
export const putIn = (dbi: Bare.Dbi, key: string, text: string, timestampNano: bigint, transactionId = 0n): void => {
  const value = Buffer.concat([Buffer.alloc(headerBytes), Buffer.from(text)])
  value.writeBigUInt64BE(timestampNano, 0)
  value.writeBigUInt64BE(transactionId, 8)
  setKey(key)
  Bare.putFrom(value.buffer as ArrayBuffer)
  Object.assign(Bare.toPut.value, { start: value.byteOffset, end: value.byteOffset + value.length })
  dbi.putSync(0, 0, { append: false })
}

/** Writes an entry in a separate transaction. */
export const put = (
  environment: Bare.Environment,
  dbi: Bare.Dbi,
  key: string,
  text: string,
  timestampNano: bigint
): void => {
  environment.transactionSync(() => {
    putIn(dbi, key, text, timestampNano, BigInt(environment.env.info().lastTxnId + 1))
  })
}

/** Returns what was last committed under `key`, or undefined. */
export const get = (
  environment: Bare.Environment,
  dbi: Bare.Dbi,
  key: string
): { readonly text: string; readonly timestampNano: bigint } | undefined => {
  environment.resetReadTxn()
  setKey(key)
  const found = dbi.getBinaryFast(0)
  if (found === undefined) return undefined
  // The package sets the length of the array to that of the value, which differs from that of the shared buffer.
  const value = Buffer.from(Buffer.from(found.buffer, found.byteOffset, found.length))
  return { text: value.subarray(headerBytes).toString(), timestampNano: value.readBigUInt64BE(0) }
}
