/**
 * The part of the package `lmdb` 3.5.6 that we use, typed: its own declarations leave out half of it. The version is
 * pinned exactly, since some of this is not documented there (`env`, `db`, encoders with offsets);
 * test/contracts/lmdb-contract.ts holds it.
 *
 * Never used: the asynchronous API (hides MAP_FULL), `getStats` (begins a read transaction of its own, which the next
 * one would share).
 */
import * as declared from "lmdb"

/** A read transaction that was begun with `useReadTransaction`. */
export interface PackageTransaction {
  /** For `NativeCursor`. */
  readonly address: number
  readonly done: () => void
}

/**
 * What the package calls for each key that is looked for, and each key and value that is read, with offsets into its
 * buffers.
 */
export interface PackageCodec {
  readonly keyEncoder: {
    readonly writeKey: (key: unknown, target: Uint8Array, start: number) => number
    readonly readKey: (buffer: Uint8Array, start: number, end: number) => number
  }
  readonly encoder: {
    readonly encode: (value: unknown) => never
    readonly decode: (buffer: Uint8Array, length: number) => number
  }
}

export interface PackageEntries {
  readonly iterate: () => {
    readonly next: () => { readonly done?: boolean }
    readonly return: () => unknown
  }
}

export interface PackageInfo {
  readonly mapSize: number
  readonly lastPageNumber: number
  readonly lastTxnId: number
  readonly maxReaders: number
}

/** A handle of a DBI. Keys and values that are given are placeholders: the codec knows the bytes. */
export interface PackageDbi {
  /** `dbi`: LMDB's number; 1 is the root. `stat`: inside the write transaction, as that one sees it. */
  readonly db: { readonly dbi: number; readonly stat: () => { readonly entryCount: number } }
  readonly getRange: (options: { readonly start: unknown; readonly transaction?: PackageTransaction }) => PackageEntries
  /** The shared buffer, with its length set to that of the value, or undefined. */
  readonly getBinaryFast: (key: unknown) => Uint8Array | undefined
  readonly clearSync: () => void
  readonly dropSync: () => void
  readonly close: () => Promise<void>
}

export interface PackageDbiOptions extends PackageCodec {
  /** Bytes, which need not be UTF-8: the package as it is published takes text alone. */
  readonly name: Uint8Array
  readonly create: boolean
  readonly reverseKey?: boolean
  readonly dupSort?: boolean
  readonly keyIsUint32?: boolean
  readonly dupFixed?: boolean
  readonly integerDup?: boolean
  readonly reverseDup?: boolean
}

/** An environment, and the handle of its root DBI. */
export interface PackageRoot extends PackageDbi {
  /** `address`: of what C++ knows of it. */
  readonly env: { readonly address: number; readonly info: () => PackageInfo }
  readonly openDB: (options: PackageDbiOptions) => PackageDbi | undefined
  readonly resetReadTxn: () => void
  readonly useReadTransaction: () => PackageTransaction
  /** Begins, calls `action`, and commits when the promise is fulfilled or aborts when it is rejected. */
  readonly transactionSync: (action: () => Promise<void>) => Promise<void>
  /** 0 when begin failed: the package ignores that. */
  readonly getWriteTxnId: () => number
  readonly readerList: () => string
  /** How many slots were freed. */
  readonly readerCheck: () => number
}

export interface PackageOptions extends PackageCodec {
  readonly path: string
  readonly noSubdir: boolean
  readonly mapSize: number
  readonly maxDbs: number
  readonly permissionsMode: number
  readonly encoding: "binary"
  readonly create: false
  readonly overlappingSync: false
  readonly noSync: false
  readonly noMetaSync: false
}

/**
 * What the package itself calls, of C++. A cursor is unknown to its transaction: it must be closed before that ends.
 */
interface Addon {
  /** With address 0: in the open write transaction. Points into the handle, which must outlive it. */
  readonly Cursor: new (handle: PackageDbi["db"], transactionAddress: number) => NativeCursor
  /**
   * Reads the first entry at or after the key in the first `keyLength` bytes of the buffer of keys, or the first of
   * all: its key into that buffer from byte 32 on, the length of its value into the first four bytes, its value into
   * the buffer of values, unless it is larger than that. The length of the key; 0: none; negative: a code of LMDB's, or
   * of the system with its sign changed.
   */
  readonly position: (cursorAddress: number, flags: number, offset: 0, keyLength: number, endAddress: 0) => number
  /** The same with the next one. */
  readonly iterate: (cursorAddress: number) => number
  /** The same with the current one. */
  readonly getCurrentValue: (cursorAddress: number) => number
  /** Where values go from now on. The package's own idea of it stays: it has to be set back. */
  readonly setGlobalBuffer: (buffer: Uint8Array) => void
  /**
   * Of the bytes of an array, in memory that is shared with other threads, too. They stay there as long as the array's
   * buffer is there and has not been detached.
   */
  readonly getBufferAddress: (bytes: Uint8Array) => number
  /**
   * Runs the instruction at an address in the open write transaction, without which the process crashes: see
   * LmdbNativeInstruction. Throws.
   */
  readonly write: (environmentAddress: number, instructionAddress: number) => void
  /** Throws the error of a code. */
  readonly lmdbError: (code: number) => void
  /** Where values go at first. */
  readonly globalBuffer: Uint8Array
}

export interface NativeCursor {
  readonly address: number
  readonly close: () => void
}

interface Package {
  readonly open: (options: PackageOptions) => PackageRoot
  /** Builds that are refused may have none. */
  readonly nativeAddon?: Addon
}

const { nativeAddon, open } = declared as unknown as Package

export { open }
export const {
  Cursor: NativeCursor,
  getBufferAddress,
  getCurrentValue,
  globalBuffer,
  iterate,
  lmdbError,
  position,
  setGlobalBuffer,
  write
} = nativeAddon ?? ({} as Addon)
