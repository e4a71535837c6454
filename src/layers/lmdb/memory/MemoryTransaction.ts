/**
 * Transactions of `LmdbMemory`. What a cursor or `get` shows is in a buffer of its own, which the next call overwrites
 * as in the native layer: a caller that keeps the buffer sees it change.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import {
  type Cursor,
  type Dbi,
  DbiMissing,
  type Found,
  KeyTooLong,
  LmdbError,
  LmdbFailure,
  MapFull,
  type ReadTransaction,
  type WriteTransaction
} from "../../../services/Lmdb.ts"
import * as Table from "./MemoryTable.ts"
import { hexOf } from "../../../domain/bytes/Hex.ts"
import { maxKeyBytes } from "../../../domain/lmdb/Limits.ts"

/** What one commit left. */
export interface Committed {
  readonly id: bigint
  readonly tables: ReadonlyMap<DbiName.DbiName, Table.Table>
}

const fail = (path: string, reason: LmdbError["reason"]): LmdbError => new LmdbError({ path, reason })

const missing = (path: string, name: DbiName.DbiName): LmdbError =>
  fail(path, new DbiMissing({ dbi: DbiName.display(name) }))

const tableOf = (path: string, tables: Committed["tables"], name: DbiName.DbiName): Table.Table => {
  const table = tables.get(name)
  if (table === undefined) throw missing(path, name)
  return table
}

const list = (tables: Committed["tables"]): ReadonlyArray<Dbi> =>
  Array.from(tables, ([name, { flags, keys }]) => ({ name, flags, entries: keys.length })).sort((a, b) =>
    a.name < b.name ? -1 : 1
  )

const none = new Uint8Array(0)

/** Not at the buffer's beginning, so that nobody relies on that. */
const keyOffset = 32

class MemoryCursor implements Cursor {
  key = none
  keyStart = 0
  keyEnd = 0
  value = none
  valueStart = 0
  valueEnd = 0
  #table: Table.Table
  #index: number

  constructor(table: Table.Table, from: Uint8Array | undefined) {
    this.#table = table
    this.#index = from === undefined ? 0 : Table.lowerBound(table, from)
  }

  seek(bytes: Uint8Array, start: number, end: number): boolean {
    this.#index = Table.lowerBound(this.#table, bytes.subarray(start, end))
    return this.next()
  }

  next(): boolean {
    if (this.#index >= this.#table.keys.length) {
      this.close()
      return false
    }
    const key = this.#table.keys[this.#index]!
    const value = this.#table.values[this.#index++]!
    const needed = keyOffset + key.length + value.length
    if (this.key.length < needed) this.key = this.value = new Uint8Array(2 * needed)
    this.key.set(key, keyOffset)
    this.keyStart = keyOffset
    this.keyEnd = this.valueStart = keyOffset + key.length
    this.value.set(value, this.valueStart)
    this.valueEnd = needed
    return true
  }

  forget(): void {
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0
  }

  close(): void {
    this.#table = Table.make(0)
    this.key = this.value = none
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0
  }
}

export class MemoryRead implements ReadTransaction {
  readonly id: bigint
  readonly dbis: ReadonlyArray<Dbi>
  readonly plainKeys: ReadonlyArray<DbiName.DbiName> = []
  readonly #path: string
  readonly #tables: Committed["tables"]
  readonly #cursors = new Set<MemoryCursor>()
  #open = true

  /** Throws if the transaction has ended. */
  get tables(): Committed["tables"] {
    if (!this.#open)
      throw fail(this.#path, new LmdbFailure({ code: "MDB_BAD_TXN", detail: "the read transaction has ended" }))
    return this.#tables
  }

  constructor(path: string, { id, tables }: Committed) {
    this.id = id
    this.dbis = list(tables)
    this.#path = path
    this.#tables = tables
  }

  readonly cursor = (name: DbiName.DbiName, from?: Uint8Array): Cursor => {
    const cursor = new MemoryCursor(tableOf(this.#path, this.tables, name), from)
    this.#cursors.add(cursor)
    return cursor
  }

  readonly end = (): void => {
    this.#open = false
    for (const cursor of this.#cursors) cursor.close()
  }
}

export class MemoryWrite implements WriteTransaction {
  readonly id: bigint
  readonly before: MemoryRead
  wrote = false
  /** A transaction in which a put failed cannot be committed. */
  failure: LmdbError | undefined
  readonly #path: string
  readonly #mapSize: number
  readonly #tables: Map<DbiName.DbiName, Table.Table>
  readonly #copied = new Set<DbiName.DbiName>()
  #found = none
  #ended = false

  constructor(path: string, mapSize: number, committed: Committed) {
    this.id = committed.id + 1n
    this.before = new MemoryRead(path, committed)
    this.#path = path
    this.#mapSize = mapSize
    this.#tables = new Map(committed.tables)
  }

  get committed(): Committed {
    return { id: this.id, tables: this.#tables }
  }

  #fail(reason: LmdbError["reason"]): LmdbError {
    const error = fail(this.#path, reason)
    this.failure ??= error
    return error
  }

  #requireOpen(): void {
    if (this.#ended)
      throw fail(this.#path, new LmdbFailure({ code: "MDB_BAD_TXN", detail: "the write transaction has ended" }))
  }

  #table(name: DbiName.DbiName): Table.Table {
    this.#requireOpen()
    return tableOf(this.#path, this.#tables, name)
  }

  #toChange(name: DbiName.DbiName): Table.Table {
    const table = this.#table(name)
    this.wrote = true
    if (this.#copied.has(name)) return table
    const copy = Table.copy(table)
    this.#tables.set(name, copy)
    this.#copied.add(name)
    return copy
  }

  #badSize(name: DbiName.DbiName, problem: string): LmdbError {
    return fail(
      this.#path,
      new LmdbFailure({ code: "MDB_BAD_VALSIZE", detail: `DBI "${DbiName.display(name)}": ${problem}` })
    )
  }

  #requireDuplicate(name: DbiName.DbiName, key: Uint8Array, length: number): void {
    if (length > maxKeyBytes)
      throw this.#badSize(name, `a value of ${length} bytes, but with MDB_DUPSORT they have at most ${maxKeyBytes}`)
    const found = Table.get(this.#table(name), key)
    if (found !== undefined && (found.length === 0) !== (length === 0)) {
      throw this.#badSize(name, "an empty value beside others of its key, which LMDB cannot hold")
    }
    // LMDB does not check this, and would read the existing values with the new size.
    if (found !== undefined && (this.#table(name).flags & DbiFlags.DUPFIXED) !== 0 && found.length !== length) {
      throw this.#badSize(name, `a value of ${length} bytes, but others of its MDB_DUPFIXED DBI have ${found.length}`)
    }
  }

  #keyOf(name: DbiName.DbiName, key: Uint8Array, start: number, end: number): Uint8Array {
    const { flags } = this.#table(name)
    if (!(start >= 0 && start <= end && end <= key.length))
      throw new RangeError(`bytes ${start} to ${end} of ${key.length}`)
    const bytes = Uint8Array.from(key.subarray(start, end))
    if (bytes.length === 0 || bytes.length > maxKeyBytes) {
      throw fail(
        this.#path,
        new KeyTooLong({ dbi: DbiName.display(name), key: hexOf(bytes, 0, Math.min(bytes.length, 600)) })
      )
    }
    if ((flags & DbiFlags.INTEGERKEY) !== 0 && bytes.length !== 4 && bytes.length !== 8) {
      throw this.#badSize(name, `a key of ${bytes.length} bytes, but with MDB_INTEGERKEY they have 4 or 8`)
    }
    return bytes
  }

  readonly dbis = (): ReadonlyArray<Dbi> => {
    this.#requireOpen()
    return list(this.#tables)
  }

  readonly create = (name: DbiName.DbiName, flags: number): void => {
    this.#requireOpen()
    if (this.#tables.has(name)) {
      throw fail(
        this.#path,
        new LmdbFailure({ code: "MDB_KEYEXIST", detail: `DBI "${DbiName.display(name)}" is there already` })
      )
    }
    if (name.length === 0 || name.length > maxKeyBytes) {
      throw this.#badSize(name, `a name of ${name.length} bytes, but those of DBIs have 1 to ${maxKeyBytes}`)
    }
    this.#tables.set(name, Table.make(flags))
    this.#copied.add(name)
    this.wrote = true
  }

  readonly get = (name: DbiName.DbiName, key: Uint8Array, start: number, end: number): Found | undefined => {
    const value = Table.get(this.#table(name), this.#keyOf(name, key, start, end))
    if (value === undefined) return undefined
    if (this.#found.length < value.length) this.#found = new Uint8Array(2 * value.length)
    this.#found.set(value)
    return { value: this.#found, valueStart: 0, valueEnd: value.length }
  }

  readonly put = (
    name: DbiName.DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    append: boolean
  ): void => {
    const keyBytes = this.#keyOf(name, key, keyStart, keyEnd)
    if (!(valueStart >= 0 && valueStart <= valueEnd && valueEnd <= value.length)) {
      throw new RangeError(`bytes ${valueStart} to ${valueEnd} of ${value.length}`)
    }
    if (Table.hasDuplicates(this.#table(name))) this.#requireDuplicate(name, keyBytes, valueEnd - valueStart)
    const table = this.#toChange(name)
    const valueBytes = Uint8Array.from(value.subarray(valueStart, valueEnd))
    if (!append || Table.hasDuplicates(table)) Table.put(table, keyBytes, valueBytes)
    else if (!Table.append(table, keyBytes, valueBytes)) {
      throw this.#fail(
        new LmdbFailure({
          code: "MDB_KEYEXIST",
          detail: `DBI "${DbiName.display(name)}": a key was appended that does not come last`
        })
      )
    }
    const used = usedBytes(this.#tables)
    if (used > this.#mapSize)
      throw this.#fail(new MapFull({ mapSize: this.#mapSize, used: this.#mapSize, needed: used }))
  }

  readonly remove = (name: DbiName.DbiName, key: Uint8Array, start: number, end: number): boolean => {
    const bytes = this.#keyOf(name, key, start, end)
    if (Table.get(this.#table(name), bytes) === undefined) return false
    return Table.remove(this.#toChange(name), bytes)
  }

  readonly removePair = (
    name: DbiName.DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ): boolean => {
    const keyBytes = this.#keyOf(name, key, keyStart, keyEnd)
    const valueBytes = value.slice(valueStart, valueEnd)
    if (!Table.hasPair(this.#table(name), keyBytes, valueBytes)) return false
    return Table.removePair(this.#toChange(name), keyBytes, valueBytes)
  }

  readonly drop = (name: DbiName.DbiName): void => {
    this.#table(name)
    this.#tables.delete(name)
    this.#copied.delete(name)
    this.wrote = true
  }

  /** Ends the use of the transaction. To be called before commit or abort. */
  readonly end = (): void => {
    this.#ended = true
    this.before.end()
  }
}

export const pageSize = 4_096

/** As LMDB: two meta pages, then a page for each DBI, at least. */
export const usedBytes = (tables: Committed["tables"]): number => {
  let used = 2 * pageSize
  for (const { bytes } of tables.values()) used += pageSize + bytes
  return used
}
