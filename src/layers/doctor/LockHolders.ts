/**
 * Finds the processes that have an LMDB open from the system's list of locks (Linux). From its first read on, each
 * process holds a lock on LMDB's lock file. The lock file is never opened here, because closing it would release such a
 * lock of this process.
 *
 * Processes in other PID namespaces are not found.
 */
import { Effect, FileSystem, Option } from "effect"

/** `1: POSIX  ADVISORY  WRITE 29506 fe:00:10002867 29506 29506` */
const line = /^\d+: POSIX +ADVISORY +\w+ (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /gm

const nameOf = (fs: FileSystem.FileSystem, pid: string) =>
  fs.readFileString(`/proc/${pid}/comm`).pipe(
    Effect.map((name) => `${pid} (${name.trim()})`),
    Effect.orElseSucceed(() => pid)
  )

/**
 * Returns the processes as `pid (name)`, without this process. They are found by the inode alone, because the numbers
 * of devices in the list differ from those of `stat` on some file systems.
 */
export const find = Effect.fnUntraced(function* (lockFile: string) {
  const fs = yield* FileSystem.FileSystem
  const inode = yield* fs.stat(lockFile).pipe(
    Effect.map(({ ino }) => Option.getOrUndefined(ino)),
    Effect.orElseSucceed(() => undefined)
  )
  const locks = yield* Effect.orElseSucceed(fs.readFileString("/proc/locks"), () => "")
  const pids = Array.from(locks.matchAll(line))
    .filter(([, , found]) => inode !== undefined && found === String(inode))
    .map(([, pid]) => pid!)
    .filter((pid) => Number(pid) !== process.pid)
  return yield* Effect.forEach([...new Set(pids)], (pid) => nameOf(fs, pid))
})
