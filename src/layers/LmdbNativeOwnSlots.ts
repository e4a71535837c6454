/**
 * Slots in LMDB's table of readers that have this process's id before it has ever read: of a process that had the same id. LMDB frees those of dead processes,
 * but never those of the own id; and once this process reads, to all others they look alive. So a container that was killed while it read, and starts again with
 * the same ids, would pin for good the pages that it saw then, and the file would grow until the map is full.
 *
 * A process with another id can free them until this one reads. What is left then belongs to a process that lives, in a container with ids of its own: when
 * either closes the environment, LMDB frees the slots of both, so it is refused.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, as LMDB is: nothing may read before this is done
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import { dirname } from "node:path"
import type { LmdbError, LmdbOptions } from "../services/Lmdb.ts"
import type { Environment } from "./LmdbNativeEnvironment.ts"
import { failed } from "./LmdbNativeErrors.ts"
import type { Identity } from "./LmdbNativeFile.ts"

/** Opened in this thread before: its slots may be ours. */
const known = new Set<Identity>()

/** Opening looks for dead readers. */
const script = "require(process.argv[1]).open(JSON.parse(process.argv[2]))"

/** Milliseconds: opening takes the write lock, which the application may hold. */
const patience = 60_000

const openElsewhere = ({ path, root }: Environment, { maxDbs, noSubdir }: LmdbOptions): boolean => {
  const options = { path: noSubdir ? path : dirname(path), noSubdir, maxDbs, mapSize: root.env.info().mapSize, overlappingSync: false, encoding: "binary" }
  const packagePath = createRequire(import.meta.url).resolve("lmdb")
  return spawnSync(process.execPath, ["-e", script, packagePath, JSON.stringify(options)], { stdio: "ignore", timeout: patience }).status === 0
}

const inUse = (path: string): LmdbError =>
  failed(
    path,
    "MDB_BAD_RSLOT",
    `another process with the id ${process.pid} has it open, in a container with process ids of its own: start with --minimum-pid 50, ` +
      "or let the containers share their process ids"
  )

/** How many slots were freed. Before the first transaction of a newly opened environment. Throws LmdbError. */
export const free = (environment: Environment, options: LmdbOptions): number => {
  if (known.has(environment.identity)) return 0
  known.add(environment.identity)
  const before = environment.ownSlots()
  if (before === 0 || !openElsewhere(environment, options)) return 0
  const after = environment.ownSlots()
  if (after > 0) throw inUse(environment.path)
  return before
}
