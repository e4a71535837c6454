/**
 * Writes an empty LMDB data file with a page size that LMDB itself would choose only on another machine. LMDB uses the
 * page size of an existing file.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is what is tested
import * as fs from "node:fs"

const meta = (page: number, pageSize: number, mapSize: number): Buffer => {
  const bytes = Buffer.alloc(pageSize)
  bytes.writeBigUInt64LE(BigInt(page), 0)
  bytes.writeUInt16LE(0x08, 10)
  bytes.writeUInt32LE(0xbeef_c0de, 16)
  bytes.writeUInt32LE(1, 20)
  bytes.writeBigUInt64LE(BigInt(mapSize), 32)
  bytes.writeUInt32LE(pageSize, 40)
  // The free list has integer keys.
  bytes.writeUInt16LE(0x08, 44)
  for (const record of [40, 88]) bytes.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, record + 40)
  bytes.writeBigUInt64LE(1n, 136)
  return bytes
}

export const write = (file: string, pageSize: number, mapSize: number): void =>
  fs.writeFileSync(file, Buffer.concat([meta(0, pageSize, mapSize), meta(1, pageSize, mapSize)]))
