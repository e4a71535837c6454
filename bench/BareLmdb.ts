/**
 * The package `lmdb` with a minimal wrapper, which the generator, the prober and the floors use. It uses nothing of
 * src/, so that a floor does not change when the engine does. Keys and values are read and written in place.
 *
 * A process can only have one environment and one loop at a time, because the current entry is state of this module.
 */
import * as declared from "lmdb"

interface Value {
  buffer: ArrayBuffer
  start: number
  end: number
  /** The package sets this if it is 0. */
  address: number
}

interface Codec {
  readonly keyEncoder: {
    readonly writeKey: (key: unknown, target: Uint8Array, start: number) => number
    readonly readKey: (buffer: Uint8Array, start: number, end: number) => number
  }
  readonly encoder: { readonly encode: () => Value; readonly decode: (buffer: Uint8Array, length: number) => number }
}

export interface Dbi {
  /** Walks the entries. Each of them is in `seen` until the next step. */
  readonly getRange: (options: { readonly start: undefined }) => Iterable<unknown>
  /** Returns the value of the key in `toPut`, which is valid until the next call, or undefined. */
  readonly getBinaryFast: (key: 0) => Uint8Array | undefined
  /** Puts the entry in `toPut`. */
  readonly putSync: (key: 0, value: 0, options: { readonly append: boolean }) => boolean
}

export interface Environment {
  readonly env: { readonly info: () => { readonly lastTxnId: number } }
  readonly openDB: (options: Codec & { readonly name: string; readonly create: boolean }) => Dbi
  readonly getKeys: (options: { readonly start: undefined }) => Iterable<unknown>
  /** Makes the next read see everything that was committed before it. */
  readonly resetReadTxn: () => void
  readonly transactionSync: (body: () => unknown) => unknown
}

interface Options extends Codec {
  readonly path: string
  readonly noSubdir: true
  readonly mapSize: number
  readonly maxDbs: number
  readonly encoding: "binary"
  readonly overlappingSync: false
}

const { ABORT, open: openEnvironment } = declared as unknown as {
  readonly ABORT: unknown
  readonly open: (options: Options) => Environment
}

const none = new Uint8Array(0)

/** Offset at which the package places keys. */
export const keyStart = 32

/** The current entry of a walk: the key `key[keyStart..keyEnd)` and the value `value[0..valueEnd)`. */
export const seen = { key: none as Uint8Array, keyEnd: 0, value: none as Uint8Array, valueEnd: 0 }

/** The entry that the next put writes: the key `key[keyFrom..keyTo)`, and the value as offsets in a buffer. */
export const toPut = {
  key: none as Uint8Array,
  keyFrom: 0,
  keyTo: 0,
  value: { buffer: none.buffer as ArrayBuffer, start: 0, end: 0, address: 0 } as Value
}

/** Sets the buffer that contains the values of the following puts. */
export const putFrom = (buffer: ArrayBuffer): void => {
  toPut.value.buffer = buffer
  toPut.value.address = 0
}

const codec: Codec = {
  keyEncoder: {
    writeKey: (_key, target, start) => {
      const { key, keyFrom, keyTo } = toPut
      let position = start
      for (let i = keyFrom; i < keyTo; i++) target[position++] = key[i]!
      return position
    },
    readKey: (buffer, _start, end) => {
      seen.key = buffer
      seen.keyEnd = end
      return end
    }
  },
  encoder: {
    encode: () => toPut.value,
    decode: (buffer, length) => {
      seen.value = buffer
      return (seen.valueEnd = length)
    }
  }
}

/** Map size in bytes of every file of a run, above what the largest one needs. A file only grows with its content. */
export const mapSize = 32 * 2 ** 30

export const open = (path: string, size = mapSize): Environment =>
  openEnvironment({
    ...codec,
    path,
    noSubdir: true,
    mapSize: size,
    maxDbs: 64,
    encoding: "binary",
    overlappingSync: false
  })

export const openDbi = (environment: Environment, name: string, create = false): Dbi =>
  environment.openDB({ ...codec, name, create })

/** Returns the names of all DBIs, in byte order. */
export const dbiNames = (environment: Environment): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (const _ of environment.getKeys({ start: undefined }))
    names.push(Buffer.from(seen.key.subarray(keyStart, seen.keyEnd)).toString())
  return names
}

/** Takes the write lock and releases it, without writing anything. Returns the time that it waited, in milliseconds. */
export const takeLock = (environment: Environment): number => {
  const begin = performance.now()
  let had = begin
  environment.transactionSync(() => {
    had = performance.now()
    return ABORT
  })
  return had - begin
}

/** Holds the write lock for a number of milliseconds, without writing anything. Calls `held` when it has the lock. */
export const holdLock = (environment: Environment, millis: number, held: () => void): void => {
  environment.transactionSync(() => {
    held()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
    return ABORT
  })
}
