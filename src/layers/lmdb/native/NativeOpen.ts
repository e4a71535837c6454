/**
 * Opens an environment, or reports why it cannot be opened. No LMDB function is called before the file is known to be
 * one that this build can map: LMDB would create a missing file, and the package would write its own default map size
 * into the application's file.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import { dirname } from "node:path"
import { Effect } from "effect"
import {
  LmdbError,
  type LmdbOptions,
  LockReplaced,
  Missing,
  PermissionDenied,
  Replaced
} from "../../../services/Lmdb.ts"
import { OpenFiles } from "./lock/OpenFiles.ts"
import * as PathCheck from "./lock/PathCheck.ts"
import * as Build from "./BuildCheck.ts"
import { Environment } from "./NativeEnvironment.ts"
import { failed, fromNative, type Facts } from "./NativeErrors.ts"
import { dataFile, deniedFile, type Identity, identityOf, makeDirectory, type Meta, readMeta } from "./DataFile.ts"
import { writer } from "./DbiHandles.ts"
import { defaultMapSize } from "../../../domain/lmdb/Limits.ts"
import { codec } from "./buffers/SharedBuffers.ts"
import * as OwnSlots from "./OwnReaderSlots.ts"
import * as Package from "./NativePackage.ts"

/** Environments that are open in this thread. Two environments over one file lose commits. */
const open = new Set<Identity>()

/** The facts that are known before LMDB has opened the environment. */
const factsOf = (options: LmdbOptions, path: string): Facts => ({
  path,
  maxDbs: options.maxDbs,
  pageSize: 1,
  maxReaders: () => 0,
  mapSize: () => options.mapSize,
  used: () => 0,
  enlarged: () => false
})

const missing = ({ isCreatedByDaemon = false }: LmdbOptions, path: string): LmdbError =>
  new LmdbError({ path, reason: new Missing({ isCreatedByDaemon }) })

const metaOf = (options: LmdbOptions, path: string): Meta | undefined => {
  try {
    return readMeta(path)
  } catch (error) {
    if (!(error instanceof LmdbError) || error.reason._tag !== "Missing") throw error
    if (options.create) return undefined
    throw missing(options, path)
  }
}

/** Returns undefined for a file that does not exist or is empty. */
const existing = (options: LmdbOptions, path: string): Meta | undefined => {
  const identity = identityOf(options)
  if (identity !== undefined && open.has(identity)) {
    throw failed(path, "EBUSY", "this process has it open already: each LMDB may be configured once")
  }
  PathCheck.requireOneLock(options)
  const meta = metaOf(options, path)
  if (meta === undefined && !options.create) throw missing(options, path)
  if (identity === undefined) makeDirectory(options)
  return meta
}

const openRoot = (options: LmdbOptions, path: string, mapSize: number): Package.PackageRoot => {
  try {
    return Package.open({
      ...codec,
      path: options.noSubdir ? path : dirname(path),
      noSubdir: options.noSubdir,
      mapSize,
      maxDbs: options.maxDbs,
      permissionsMode: options.fileMask,
      encoding: "binary",
      create: false,
      overlappingSync: false,
      noSync: false,
      noMetaSync: false
    })
  } catch (error) {
    const mapped = fromNative(factsOf(options, path), error)
    if (mapped.reason._tag !== "PermissionDenied") throw mapped
    throw new LmdbError({
      path,
      reason: new PermissionDenied({ detail: `${deniedFile(options)}: ${mapped.reason.detail}` })
    })
  }
}

/** Blocks for as long as another process holds the write lock, which the package takes to open the root DBI. */
const openNow = (options: LmdbOptions, path: string, meta: Meta | undefined): Environment => {
  const before = new OpenFiles(options)
  const root = openRoot(options, path, options.mapSize || meta?.mapSize || defaultMapSize)
  const files = new OpenFiles(options)
  const { identity } = files
  try {
    // If the file was replaced meanwhile, it would be unknown which of the two LMDB has open.
    before.requireSame()
    if (identity === undefined) throw new LmdbError({ path, reason: new Replaced({}) })
    if (!files.hasLockFile) throw new LmdbError({ path, reason: new LockReplaced({ lockFile: files.lockFile }) })
  } catch (error) {
    void root.close()
    throw error
  }
  open.add(identity)
  return new Environment(options, files, identity, root)
}

const attempt = <A>(path: string, run: () => A) =>
  Effect.try({
    try: run,
    catch: (error) => (error instanceof LmdbError ? error : failed(path, "unknown", String(error)))
  })

const close = (environment: Environment) =>
  Effect.promise(() => environment.root.close()).pipe(
    Effect.ensuring(Effect.sync(() => open.delete(environment.identity)))
  )

const acquire = Effect.fnUntraced(function* (options: LmdbOptions) {
  yield* Build.check
  const path = dataFile(options)
  const meta = yield* attempt(path, () => existing(options, path))
  if (meta !== undefined && options.mapSize !== 0 && options.mapSize !== meta.mapSize) {
    yield* Effect.logWarning(
      `LMDB ${path}: options.map_size is ${options.mapSize} bytes, but the file has ${meta.mapSize}: ` +
        (options.mapSize < meta.mapSize
          ? "this process cannot write or see more than that"
          : "our first commit writes it into the file") +
        ". Set it to what the application uses, or to 0 for that of the file"
    )
  }
  const linked = PathCheck.warningOf(options)
  if (linked !== undefined) yield* Effect.logWarning(linked)
  const environment = yield* attempt(path, () => openNow(options, path, meta))
  const { count, warning } = yield* Effect.onError(
    attempt(path, () => {
      environment.guard.requireNoOtherWriter()
      return OwnSlots.free(environment, options)
    }),
    () => close(environment)
  )
  if (count > 0) yield* Effect.logInfo("Cleared readers of dead processes", { cleared: count, path })
  if (warning !== undefined) yield* Effect.logWarning(warning)
  return environment
})

/**
 * Opens the environment for the lifetime of the scope. The memory mapping stays until the process ends, because the
 * package does not remove it.
 */
export const environment = (options: LmdbOptions) =>
  Effect.acquireRelease(writer.withPermits(1)(acquire(options)), close)
