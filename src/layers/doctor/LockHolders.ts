/**
 * Which processes have an LMDB open, by the locks of the system (Linux): LMDB holds one in its lock file for each, from
 * the first read on. The lock file is never opened here, since closing it would drop such a lock of this process.
 *
 * Not found: processes in other namespaces of process ids.
 */
import { Effect, FileSystem, Option } from "effect"

/** `1: POSIX  ADVISORY  WRITE 29506 fe:00:10002867 29506 29506` */
const line = /^\d+: POSIX +ADVISORY +\w+ (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /gm

const nameOf = (fs: FileSystem.FileSystem, pid: string) =>
  fs.readFileString(`/proc/${pid}/comm`).pipe(
    Effect.map((name) => `${pid} (${name.trim()})`),
    Effect.orElseSucceed(() => pid)
  )

/** As `pid (name)`, this process left out. Found by the inode: devices have other numbers there on some file systems. */
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
