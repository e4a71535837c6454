/**
 * Reads LMDB's reader table twice: before dead readers are cleared, which the package does whenever it opens an
 * environment, and after LMDB has cleared them. No transaction begins, and the write lock is not taken.
 *
 * No thread of this process may have opened the LMDB before, because closing it would release the locks of the process.
 */
import { Effect } from "effect"
import * as declared from "lmdb"
import { LmdbError, type LmdbOptions, Missing } from "../../services/Lmdb.ts"
import * as BuildCheck from "../lmdb/native/BuildCheck.ts"
import { dataFile, fromSystem, readMeta } from "../lmdb/native/DataFile.ts"
import * as PathCheck from "../lmdb/native/lock/PathCheck.ts"
import { parseReaders } from "../lmdb/native/NativeEnvironment.ts"
import type { ReaderTable } from "../../services/LmdbTask.ts"

/** C++ functions of the package that its own declarations omit. */
interface PackageEnv {
  /** Throws. */
  readonly open: (options: object, flags: number, jsFlags: number) => void
  readonly info: () => { readonly lastTxnId: number; readonly maxReaders: number }
  readonly readerList: () => ReadonlyArray<string>
  readonly readerCheck: () => number
  readonly close: () => void
}

const noSubdirFlag = 0x4000
/** Size in bytes of the package's buffer for keys. No key is read here. */
const keyBytes = 2_048

const readTable = (options: LmdbOptions): ReaderTable => {
  const path = dataFile(options)
  PathCheck.requireOneLock(options)
  const meta = readMeta(path)
  if (meta === undefined) throw new LmdbError({ path, reason: new Missing() })
  const { Env } = (declared as unknown as { readonly nativeAddon: { readonly Env: new () => PackageEnv } }).nativeAddon
  const env = new Env()
  const settings = { maxDbs: options.maxDbs, mapSize: meta.mapSize, keyBytes: Buffer.alloc(keyBytes) }
  env.open(
    { ...settings, path: options.noSubdir ? path : options.path, noSubdir: options.noSubdir },
    options.noSubdir ? noSubdirFlag : 0,
    0
  )
  try {
    const { lastTxnId, maxReaders } = env.info()
    const all = parseReaders(env.readerList().join(""))
    env.readerCheck()
    const left = parseReaders(env.readerList().join(""))
    const isLeft = (pid: number) => left.some((other) => other.pid === pid)
    return {
      mapSize: meta.mapSize,
      maxReaders,
      lastTransactionId: String(lastTxnId),
      readers: all.map(({ pid, transaction }) =>
        transaction === undefined
          ? { pid, isAlive: isLeft(pid) }
          : { pid, isAlive: isLeft(pid), transactionId: String(transaction) }
      )
    }
  } finally {
    env.close()
  }
}

export const read = (options: LmdbOptions): Effect.Effect<ReaderTable, LmdbError> =>
  Effect.andThen(
    BuildCheck.check,
    Effect.try({ try: () => readTable(options), catch: (error) => fromSystem(dataFile(options), error) })
  )
