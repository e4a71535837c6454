/**
 * The system calls of `SpoolFile`. Each is awaited even when the caller is interrupted. Otherwise the caller could
 * reuse the buffer while it is still being written, and a closed descriptor could belong to another file by then.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- names that no other process takes, whatever seed a test gave to Random
import { randomUUID } from "node:crypto"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- descriptors that count in all threads, positions: FileSystem has neither
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for a path to the temporary file, before there are any services
import * as path from "node:path"
import { SpoolError, type SpoolPlace } from "../../services/Spool.ts"

interface Call {
  readonly operation: SpoolError["operation"]
  readonly directory: string
}

type Callback<A> = (error: NodeJS.ErrnoException | null, value: A) => void

const run = <A>(call: Call, start: (done: Callback<A>) => void): Effect.Effect<A, SpoolError> =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      // libuv repeats an interrupted write, but not an interrupted read.
      const attempt = () =>
        start((error, value) => {
          if (error === null) return resume(Effect.succeed(value))
          if (error.code === "EINTR") return attempt()
          resume(new SpoolError({ ...call, code: error.code ?? error.message }))
        })
      attempt()
    })
  )

/**
 * Closes a descriptor. A failure loses nothing, because the file will not be read again. It can only be a delayed write
 * error of a network disk.
 */
export const close = (fd: number) => Effect.callback<void>((resume) => fs.close(fd, () => resume(Effect.void)))

/** Opens a file with mode 0600 that has no name by the time this returns. */
export const openUnlinked = Effect.fnUntraced(function* (directory: string) {
  const call: Call = { operation: "open", directory }
  const file = path.join(directory, `lightningstream-${randomUUID()}.spool`)
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW
  const fd = yield* run<number>(call, (done) => fs.open(file, flags, 0o600, done))
  yield* Effect.onError(
    run<void>(call, (done) => fs.unlink(file, (error) => done(error))),
    () => close(fd)
  )
  return fd
}, Effect.uninterruptible)

/** Writes all bytes, with as many system calls as that takes. */
export const writeAll = Effect.fnUntraced(function* (place: SpoolPlace, bytes: Uint8Array, position: number) {
  const call: Call = { operation: "write", directory: place.directory }
  for (let done = 0; done < bytes.length;) {
    done += yield* run<number>(call, (callback) =>
      fs.write(place.fd, bytes, done, bytes.length - done, position + done, callback)
    )
  }
})

export const endOfFile = (directory: string) => new SpoolError({ operation: "read", directory, code: "end of file" })

/** Fills `bytes`, with as many system calls as that takes. */
export const readAll = Effect.fnUntraced(function* (place: SpoolPlace, bytes: Uint8Array, position: number) {
  const call: Call = { operation: "read", directory: place.directory }
  for (let done = 0; done < bytes.length;) {
    const count = yield* run<number>(call, (callback) =>
      fs.read(place.fd, bytes, done, bytes.length - done, position + done, callback)
    )
    if (count === 0) return yield* endOfFile(place.directory)
    done += count
  }
})
