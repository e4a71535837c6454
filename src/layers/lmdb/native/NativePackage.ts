/**
 * Types for the part of the package `lmdb` 3.5.6 that this project uses; the package's own declarations omit half of
 * it. The version is pinned exactly, because parts of this are undocumented (`env`, `db`, encoders with offsets).
 * test/contracts/lmdb-contract.ts tests it.
 *
 * Two parts of the package are never used: the asynchronous API, which hides MAP_FULL, and `getStats`, which begins a
 * read transaction that the next reader would share.
 */
import * as declared from "lmdb"

/** A read transaction that was begun with `useReadTransaction`. */
export interface PackageTransaction {
  /** Used by `NativeCursor`. */
  readonly address: number
  readonly done: () => void
}

/**
 * Functions that the package calls for each key to look up and for each key and value read, with offsets into its
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

/** A handle of a DBI. Keys and values passed to it are placeholders, because the codec holds the bytes. */
export interface PackageDbi {
  /** `dbi` is LMDB's number; the root has 1. Inside a write transaction, `stat` shows the state of that transaction. */
  readonly db: { readonly dbi: number; readonly stat: () => { readonly entryCount: number } }
  readonly getRange: (options: { readonly start: unknown; readonly transaction?: PackageTransaction }) => PackageEntries
  /** Returns the shared buffer, with its length set to that of the value, or undefined. */
  readonly getBinaryFast: (key: unknown) => Uint8Array | undefined
  readonly dropSync: () => void
  readonly close: () => Promise<void>
}

export interface PackageDbiOptions extends PackageCodec {
  /** Bytes, which need not be UTF-8. The published package accepts only text. */
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
  /** `address` points to the C++ object of the environment. */
  readonly env: { readonly address: number; readonly info: () => PackageInfo }
  readonly openDB: (options: PackageDbiOptions) => PackageDbi | undefined
  readonly resetReadTxn: () => void
  readonly useReadTransaction: () => PackageTransaction
  /**
   * Begins, calls `action`, and commits when that returns or its promise is fulfilled. Aborts when it throws or its
   * promise is rejected.
   */
  readonly transactionSync: <A extends Promise<void> | void>(action: () => A) => A
  /** Returns 0 when begin failed, which the package ignores. */
  readonly getWriteTxnId: () => number
  readonly readerList: () => string
  /** Returns the number of slots that were freed. */
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
 * The C++ functions that the package itself calls. A transaction does not know its cursors, so they must be closed
 * before it ends.
 */
interface Addon {
  /**
   * With address 0, the cursor belongs to the open write transaction. It points into the handle, which must outlive it.
   */
  readonly Cursor: new (handle: PackageDbi["db"], transactionAddress: number) => NativeCursor
  /**
   * Reads the first entry at or after the key in the first `keyLength` bytes of the key buffer, or the first of all
   * entries. The key is stored in that buffer from byte 32 on, the length of the value in the buffer's first four
   * bytes, and the value in the value buffer, unless it is larger than that. Returns the length of the key, 0 when
   * there is no entry, or a negative code: LMDB's, or a system error with its sign changed.
   */
  readonly position: (cursorAddress: number, flags: number, offset: 0, keyLength: number, endAddress: 0) => number
  /** Reads the next entry in the same way. */
  readonly iterate: (cursorAddress: number) => number
  /** Reads the current entry in the same way. */
  readonly getCurrentValue: (cursorAddress: number) => number
  /** Sets the buffer for values. The package does not notice the change, so the buffer has to be set back. */
  readonly setGlobalBuffer: (buffer: Uint8Array) => void
  /**
   * Returns the address of an array's bytes, which may be in memory shared with other threads. The address is valid as
   * long as the array's buffer exists and is not detached.
   */
  readonly getBufferAddress: (bytes: Uint8Array) => number
  /**
   * Runs the instruction at an address in the open write transaction; see WriteInstruction. Throws. Without an
   * open write transaction the process crashes.
   */
  readonly write: (environmentAddress: number, instructionAddress: number) => void
  /** Throws the error of a code. */
  readonly lmdbError: (code: number) => void
  /** The initial buffer for values. */
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
