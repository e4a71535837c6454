/**
 * Temporary files of the objects in a directory. A store writes to one and finally renames it, so a process that is
 * killed in between leaves behind a file as large as a snapshot.
 *
 * Files that have not been written to for an hour are removed, whichever host they are from, by the first store of a
 * process and then at most once per hour. Removal therefore works on a full disk, and commands that only read remove
 * nothing. Age is measured by the clock of the file system, which may be a file server's: it is compared with the time
 * of a file that was just created. A store that is so slow that its file is removed fails and is retried.
 */
import { Clock, Effect, type FileSystem, Option, Random } from "effect"
import type { PlatformError } from "effect/PlatformError"

const hourMillis = 3_600_000

const isTemporary = (name: string) => /^\.[0-9a-z]{1,10}\.tmp$/.test(name)

export const makeName = Effect.map(Random.nextIntBetween(0, 2 ** 48), (random) => `.${random.toString(36)}.tmp`)

const timeOf = ({ mtime }: FileSystem.File.Info) =>
  Option.getOrElse(
    Option.map(mtime, (date) => date.getTime()),
    () => NaN
  )

/** Returns undefined if the file no longer exists. */
const look = <A>(effect: Effect.Effect<A, PlatformError>) =>
  Effect.catchIf(
    effect,
    ({ reason }) => reason._tag === "NotFound",
    () => Effect.undefined
  )

const removeOne = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, path: string, now: number) {
  const info = yield* look(fs.lstat(path))
  if (info?.type !== "File" || !(now - timeOf(info) > hourMillis)) return false
  yield* fs.remove(path, { force: true })
  return true
})

const removeAll = Effect.fn("FsTemporaryFiles.remove")(function* (
  fs: FileSystem.FileSystem,
  root: string,
  now: number
) {
  const names = (yield* fs.readDirectory(root)).filter(isTemporary)
  const removed = yield* Effect.filter(names, (name) => removeOne(fs, `${root}/${name}`, now))
  if (removed.length > 0)
    yield* Effect.logInfo("Removed temporary files of interrupted stores", {
      removed: removed.length,
      directory: root
    })
})

/**
 * Removes old files, unless that was done within the last hour. `current` is a file that was just created. A failure is
 * logged and does not stop the store.
 */
export const makeSweep = (fs: FileSystem.FileSystem, root: string) => {
  let next = 0n
  return Effect.fnUntraced(function* (current: FileSystem.File) {
    const now = yield* Clock.monotonicTimeNanos
    if (now < next) return
    next = now + BigInt(hourMillis) * 1_000_000n
    yield* current.stat.pipe(
      Effect.flatMap((info) => removeAll(fs, root, timeOf(info))),
      Effect.catch((error) =>
        Effect.logWarning("Cannot remove temporary files of interrupted stores", {
          directory: root,
          error: error.message
        })
      )
    )
  })
}
