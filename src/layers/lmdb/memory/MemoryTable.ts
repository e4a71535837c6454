/**
 * One DBI of `LmdbMemory`: its entries in LMDB's order, as two arrays. With MDB_DUPSORT, a key occurs once for each of
 * its values. A committed table never changes; a transaction changes a copy. Inserting moves all later entries, so the
 * table is suitable for tests only.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as KeyOrder from "../../../domain/lmdb/KeyOrder.ts"

export interface Table {
  readonly flags: number
  readonly keys: Array<Uint8Array>
  readonly values: Array<Uint8Array>
  /** Bytes of all keys and values, plus `entryOverhead` for each entry. */
  bytes: number
}

/** Bytes of an entry's header and of its slot in the page. */
const entryOverhead = 10

export const make = (flags: number): Table => ({ flags, keys: [], values: [], bytes: 0 })

export const copy = ({ bytes, flags, keys, values }: Table): Table => ({
  flags,
  keys: keys.slice(),
  values: values.slice(),
  bytes
})

export const hasDuplicates = ({ flags }: Table): boolean => (flags & DbiFlags.DUPSORT) !== 0

const bytesOf = (key: Uint8Array, value: Uint8Array): number => key.length + value.length + entryOverhead

/** Returns the order of a key's values, as in LMDB's mdb_default_cmp. */
const valueOrder = (flags: number): KeyOrder.KeyOrder =>
  (flags & DbiFlags.INTEGERDUP) !== 0
    ? KeyOrder.integer
    : (flags & DbiFlags.REVERSEDUP) !== 0
      ? KeyOrder.reverse
      : KeyOrder.plain

const compareAt = (table: Table, index: number, key: Uint8Array): number => {
  const other = table.keys[index]!
  const order = KeyOrder.orderOf(table.flags)
  return order === KeyOrder.plain
    ? compareBytes(other, 0, other.length, key, 0, key.length)
    : KeyOrder.compareKeys(order, other, 0, other.length, key, 0, key.length)
}

/** Returns the index of the first entry whose key is not before `key`. */
export const lowerBound = (table: Table, key: Uint8Array): number => {
  let low = 0
  let high = table.keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareAt(table, middle, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

const isAt = (table: Table, index: number, key: Uint8Array): boolean =>
  index < table.keys.length && compareAt(table, index, key) === 0

/** Returns the first value of the key. */
export const get = (table: Table, key: Uint8Array): Uint8Array | undefined => {
  const index = lowerBound(table, key)
  return isAt(table, index, key) ? table.values[index] : undefined
}

const insert = (table: Table, index: number, key: Uint8Array, value: Uint8Array): void => {
  if (index === table.keys.length) {
    table.keys.push(key)
    table.values.push(value)
  } else {
    table.keys.splice(index, 0, key)
    table.values.splice(index, 0, value)
  }
  table.bytes += bytesOf(key, value)
}

const putDuplicate = (table: Table, first: number, key: Uint8Array, value: Uint8Array): void => {
  const order = valueOrder(table.flags)
  let index = first
  for (; isAt(table, index, key); index++) {
    const other = table.values[index]!
    const comparison = KeyOrder.compareKeys(order, other, 0, other.length, value, 0, value.length)
    if (comparison === 0) return
    if (comparison > 0) break
  }
  insert(table, index, key, value)
}

/** Puts an entry. The table takes ownership of both arrays. */
export const put = (table: Table, key: Uint8Array, value: Uint8Array): void => {
  const index = lowerBound(table, key)
  if (hasDuplicates(table)) putDuplicate(table, index, key, value)
  else if (isAt(table, index, key)) {
    table.bytes += value.length - table.values[index]!.length
    table.values[index] = value
  } else insert(table, index, key, value)
}

/** Appends an entry. Returns false, without a change, when the key is not after all others. */
export const append = (table: Table, key: Uint8Array, value: Uint8Array): boolean => {
  if (table.keys.length > 0 && compareAt(table, table.keys.length - 1, key) >= 0) return false
  insert(table, table.keys.length, key, value)
  return true
}

/** Removes all values of the key. */
export const remove = (table: Table, key: Uint8Array): boolean => {
  const first = lowerBound(table, key)
  let end = first
  for (; isAt(table, end, key); end++) table.bytes -= bytesOf(key, table.values[end]!)
  table.keys.splice(first, end - first)
  table.values.splice(first, end - first)
  return end > first
}

const pairAt = (table: Table, key: Uint8Array, value: Uint8Array): number => {
  for (let at = lowerBound(table, key); isAt(table, at, key); at++)
    if (Buffer.compare(table.values[at]!, value) === 0) return at
  return -1
}

export const hasPair = (table: Table, key: Uint8Array, value: Uint8Array): boolean => pairAt(table, key, value) >= 0

/** Removes one value of the key. Returns false when it did not exist. */
export const removePair = (table: Table, key: Uint8Array, value: Uint8Array): boolean => {
  const at = pairAt(table, key, value)
  if (at < 0) return false
  table.bytes -= bytesOf(key, value)
  table.keys.splice(at, 1)
  table.values.splice(at, 1)
  return true
}
