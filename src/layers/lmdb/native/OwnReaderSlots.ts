/**
 * Frees slots in LMDB's reader table that have this process's id although it has not read yet, because they belonged to
 * an earlier process with the same id. LMDB frees the slots of dead processes, but never those of its own id, and once
 * this process reads, the stale slots look alive to all others. A container that was killed while it read, and that
 * restarts with the same process ids, would therefore pin the pages of that time forever, and the file would grow until
 * the map is full.
 *
 * A process with another id can free these slots until this process reads for the first time. Slots that remain belong
 * to a live process in a container with its own process ids. LMDB would free the slots of both processes when either
 * closes the environment, so opening is refused.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, as LMDB is: nothing may read before this is done
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import { dirname } from "node:path"
import type { LmdbError, LmdbOptions } from "../../../services/Lmdb.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { failed } from "./NativeErrors.ts"
import type { Identity } from "./DataFile.ts"

/** Environments that this thread opened before, whose slots may be ours. */
const known = new Set<Identity>()

/** Opening an environment clears dead readers. */
const script = "require(process.argv[1]).open(JSON.parse(process.argv[2]))"

/** Milliseconds. Opening takes the write lock, which the application may hold. */
const patience = 60_000

/** The parts of an environment that are needed here. */
interface Opened extends Pick<Environment, "identity" | "path" | "ownSlots"> {
  readonly root: { readonly env: { readonly info: () => { readonly mapSize: number } } }
}

/** Returns why the environment could not be opened. */
const openElsewhere = ({ path, root }: Opened, { maxDbs, noSubdir }: LmdbOptions): string | undefined => {
  const options = {
    path: noSubdir ? path : dirname(path),
    noSubdir,
    maxDbs,
    mapSize: root.env.info().mapSize,
    overlappingSync: false,
    encoding: "binary"
  }
  const packagePath = createRequire(import.meta.url).resolve("lmdb")
  const args = ["-e", script, packagePath, JSON.stringify(options)]
  const { error, signal, status, stderr } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: patience,
    encoding: "utf8"
  })
  if (status === 0) return undefined
  const said = /^\w*Error: .*$/m.exec(stderr ?? "")?.[0]
  return error?.message ?? said ?? `it ended with ${signal ?? status}`
}

const inUse = (path: string): LmdbError =>
  failed(
    path,
    "MDB_BAD_RSLOT",
    `another process with the id ${process.pid} has it open, in a container with process ids of its own: start with --minimum-pid 50, ` +
      "or let the containers share their process ids"
  )

export interface Freed {
  /** Number of slots. */
  readonly count: number
  /** A warning for the log, when no other process could be started to free the slots. */
  readonly warning?: string
}

const none: Freed = { count: 0 }

/** Must be called before the first transaction of a newly opened environment. Throws LmdbError. */
export const free = (environment: Opened, options: LmdbOptions): Freed => {
  if (known.has(environment.identity)) return none
  known.add(environment.identity)
  const count = environment.ownSlots()
  if (count === 0) return none
  const failure = openElsewhere(environment, options)
  if (failure !== undefined) {
    const warning =
      `LMDB ${environment.path}: ${count} slots for readers are left by a process that had the id of this one, and keep pages from being used again: ` +
      `another process could not open it: ${failure}. Tried again at the next start`
    return { count: 0, warning }
  }
  if (environment.ownSlots() > 0) throw inUse(environment.path)
  return { count }
}
