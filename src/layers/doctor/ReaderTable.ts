/**
 * LMDB's table of readers as it is before anybody looks for dead ones, which the package does whenever it opens an
 * environment; and what is left after LMDB has looked for them. No transaction begins, and the write lock is not taken.
 *
 * Only in a thread that has not opened this LMDB before, nor any other thread of the process: closing it would drop the
 * locks of the process.
 */
import { Effect } from "effect"
import * as declared from "lmdb"
import { LmdbError, type LmdbOptions, Missing } from "../../services/Lmdb.ts"
import * as BuildCheck from "../lmdb/native/BuildCheck.ts"
import { dataFile, fromSystem, readMeta } from "../lmdb/native/DataFile.ts"
import * as PathCheck from "../lmdb/native/lock/PathCheck.ts"
import { parseReaders } from "../lmdb/native/NativeEnvironment.ts"
import type { ReaderTable } from "../../services/LmdbTask.ts"

/** Of the package's C++, which its own declarations leave out. */
interface PackageEnv {
  /** Throws. */
  readonly open: (options: object, flags: number, jsFlags: number) => void
  readonly info: () => { readonly lastTxnId: number; readonly maxReaders: number }
  readonly readerList: () => ReadonlyArray<string>
  readonly readerCheck: () => number
  readonly close: () => void
}

const noSubdirFlag = 0x4000
/** Bytes: what the package has for keys, of which none are read here. */
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
