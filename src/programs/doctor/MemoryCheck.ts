/** Compares the memory limit of this process's cgroup with what the settings allow the daemon to use. */
import type { SettingsValues } from "../../services/Settings.ts"
import { winnersLimit } from "../engine/merge/Winners.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "memory"

/** Bytes of an idle daemon, which was measured at 54 MB. See ProcessMemory. */
const processBytes = 64 * 2 ** 20
/** Bytes of LMDB's dirty pages in one transaction, after which LMDB writes them out. */
const dirtyBytesMax = 512 * 2 ** 20

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`

/**
 * Returns the memory that the settings allow, and what a merge in one transaction may need in addition. Source:
 * docs/operations.md, Memory.
 */
export const needsOf = (settings: SettingsValues) => {
  const { database_workers, lmdbs, memory_downloaded_snapshots, spool_memory } = settings
  const workers = Math.min(database_workers, Object.keys(lmdbs).length)
  const snapshots = Object.keys(lmdbs).length * (memory_downloaded_snapshots + 1) * spool_memory
  return { heldBytes: processBytes + workers * winnersLimit + snapshots, dirtyBytes: workers * dirtyBytesMax }
}

/**
 * Returns the findings. `limitBytes` is undefined without a known limit; `isCut` is true if `merge_lock_duration` is
 * set.
 */
export const findings = (
  settings: SettingsValues,
  limitBytes: number | undefined,
  isCut: boolean
): ReadonlyArray<Finding> => {
  const { dirtyBytes, heldBytes } = needsOf(settings)
  if (limitBytes === undefined) return [ok(check, `no cgroup limit; the settings allow ${megabytes(heldBytes)}`)]
  const limit = `the limit is ${megabytes(limitBytes)}`
  const less = "raise the limit, or lower spool_memory, memory_downloaded_snapshots or database_workers"
  if (limitBytes < heldBytes)
    return [
      error(
        check,
        `${limit}, the settings allow ${megabytes(heldBytes)}`,
        "the kernel kills the process when it reaches its limit",
        less
      )
    ]
  if (!isCut && limitBytes < heldBytes + dirtyBytes)
    return [
      warning(
        check,
        `${limit}, a merge in one transaction may take ${megabytes(heldBytes + dirtyBytes)}`,
        "the kernel kills the process when it reaches its limit, which a first load may do",
        "raise the limit, or set merge_lock_duration"
      )
    ]
  return [ok(check, `${limit}, the settings allow ${megabytes(heldBytes)}`)]
}
