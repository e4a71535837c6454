/**
 * `Spool` in memory up to a limit, and beyond it in a temporary file with mode 0600, which is unlinked before `open`
 * returns. The file is created at the start, empty, and the thread that created it closes it, whichever thread finds
 * that it is needed.
 *
 * Each system call is awaited even when the caller is interrupted. Otherwise the caller could reuse the buffer while it
 * is still being written, and a closed descriptor could belong to another file by then. Memory is released by dropping
 * the references to it, so the garbage collector has to run.
 */
import { Effect, Layer, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- names that no other process takes, whatever seed a test gave to Random
import { randomUUID } from "node:crypto"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- descriptors that count in all threads, positions: FileSystem has neither
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for a path to the temporary file, before there are any services
import * as path from "node:path"
import {
  type Extent,
  Spool,
  type Spooled,
  SpoolError,
  type SpoolPlace,
  type SpoolReviser,
  type SpoolWriter,
  writtenBytes
} from "../../services/Spool.ts"

const blockBytes = 256 * 1024

interface System {
  readonly operation: SpoolError["operation"]
  readonly directory: string
}

type Callback<A> = (error: NodeJS.ErrnoException | null, value: A) => void

const system = <A>(call: System, start: (done: Callback<A>) => void): Effect.Effect<A, SpoolError> =>
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

const temporaryFile = Effect.fnUntraced(function* (directory: string) {
  const call: System = { operation: "open", directory }
  const file = path.join(directory, `lightningstream-${randomUUID()}.spool`)
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW
  const fd = yield* system<number>(call, (done) => fs.open(file, flags, 0o600, done))
  yield* Effect.onError(
    system<void>(call, (done) => fs.unlink(file, (error) => done(error))),
    () => close(fd)
  )
  return fd
}, Effect.uninterruptible)

// A failing close loses nothing, because the file will not be read again. It can only be a delayed write error of a
// network disk.
const close = (fd: number) => Effect.callback<void>((resume) => fs.close(fd, () => resume(Effect.void)))

/** Writes all bytes, with as many system calls as that takes. */
const writeAll = Effect.fnUntraced(function* (place: SpoolPlace, bytes: Uint8Array, position: number) {
  const call: System = { operation: "write", directory: place.directory }
  for (let done = 0; done < bytes.length;) {
    done += yield* system<number>(call, (callback) =>
      fs.write(place.fd, bytes, done, bytes.length - done, position + done, callback)
    )
  }
})

const readAll = Effect.fnUntraced(function* (place: SpoolPlace, bytes: Uint8Array, position: number) {
  const call: System = { operation: "read", directory: place.directory }
  for (let done = 0; done < bytes.length;) {
    const count = yield* system<number>(call, (callback) =>
      fs.read(place.fd, bytes, done, bytes.length - done, position + done, callback)
    )
    if (count === 0) return yield* new SpoolError({ ...call, code: "end of file" })
    done += count
  }
})

/** Adds an extent. If it continues the last one, the last one is extended instead. */
const addExtent = (into: Array<Extent>, start: number, end: number) => {
  const last = into[into.length - 1]
  if (last?.end === start) into[into.length - 1] = { start: last.start, end }
  else if (end > start) into.push({ start, end })
}

/** Returns a writer that continues after the bytes of `earlier`. */
const writerAfter = (place: SpoolPlace, earlier: Spooled | undefined): SpoolReviser => {
  /** Bytes of the place that have been written. */
  let written = earlier === undefined ? 0 : writtenBytes(earlier)
  let blocks: Array<SharedArrayBuffer> = (earlier?.memory ?? []).slice(0, Math.ceil(written / blockBytes))
  let inFile = written > 0 && blocks.length === 0
  // Extents in reading order: the stretches between marks, and the parts inserted at the marks.
  const extents: Array<Array<Extent>> = []
  let stretch: Array<Extent> = []
  extents.push(stretch)

  const keep = (chunk: Uint8Array) => {
    for (let start = 0; start < chunk.length;) {
      const used = written % blockBytes
      if (used === 0) blocks.push(new SharedArrayBuffer(blockBytes))
      const part = chunk.subarray(start, start + blockBytes - used)
      new Uint8Array(blocks[blocks.length - 1]!, used).set(part)
      start += part.length
      written += part.length
    }
  }

  // The blocks are dropped only after all of them have been written, so that an append that failed on a full disk can
  // be repeated.
  const moveToFile = Effect.fnUntraced(function* () {
    for (let index = 0; index < blocks.length; index++) {
      const position = index * blockBytes
      yield* writeAll(place, new Uint8Array(blocks[index]!, 0, Math.min(blockBytes, written - position)), position)
    }
    blocks = []
    inFile = true
  })

  const write = Effect.fnUntraced(function* (into: Array<Extent>, chunk: Uint8Array) {
    const start = written
    if (!inFile && written + chunk.length > place.memoryLimit) yield* moveToFile()
    if (inFile) {
      yield* writeAll(place, chunk, written)
      written += chunk.length
    } else keep(chunk)
    addExtent(into, start, written)
  })

  return {
    append: (chunk) => write(stretch, chunk),
    mark: () => {
      stretch = []
      return extents.push([], stretch) - 2
    },
    insert: (mark, chunk) => write(extents[mark]!, chunk),
    take: (start, end) => {
      if (earlier === undefined) return
      for (let at = start; at < end;) {
        const place = stretchOf(earlier, at, end)
        if (place.end === place.start) return
        addExtent(stretch, place.start, place.end)
        at += place.end - place.start
      }
    },
    finish: Effect.sync(() => {
      const all = extents.flat()
      return { place, size: all.reduce((sum, { end, start }) => sum + end - start, 0), memory: blocks, extents: all }
    })
  }
}

export const writer = (place: SpoolPlace): SpoolWriter => writerAfter(place, undefined)

export const revise = (spooled: Spooled): SpoolReviser => writerAfter(spooled.place, spooled)

const copyInto = (target: Uint8Array, memory: Spooled["memory"], start: number): void => {
  const end = start + target.length
  for (let at = start; at < end;) {
    const inBlock = at % blockBytes
    const part = Math.min(blockBytes - inBlock, end - at)
    target.set(new Uint8Array(memory[Math.floor(at / blockBytes)]!, inBlock, part), at - start)
    at += part
  }
}

/** Returns the location of the bytes from `from` to at most `to` in reading order, up to the end of their extent. */
const stretchOf = ({ extents }: Spooled, from: number, to: number): Extent => {
  let before = 0
  for (const { end, start } of extents) {
    const length = end - start
    if (from < before + length) return { start: start + from - before, end: start + Math.min(to - before, length) }
    before += length
  }
  return { start: 0, end: 0 }
}

const endOfFile = ({ place }: Spooled) =>
  new SpoolError({ operation: "read", directory: place.directory, code: "end of file" })

export const readInto = Effect.fnUntraced(function* (spooled: Spooled, start: number, target: Uint8Array<ArrayBuffer>) {
  for (let done = 0; done < target.length;) {
    const place = stretchOf(spooled, start + done, start + target.length)
    const part = target.subarray(done, done + place.end - place.start)
    if (part.length === 0) return yield* endOfFile(spooled)
    if (spooled.memory.length > 0) copyInto(part, spooled.memory, place.start)
    else yield* readAll(spooled.place, part, place.start)
    done += part.length
  }
})

export const read = (spooled: Spooled, range?: { readonly start: number; readonly end: number }) => {
  const end = Math.min(range?.end ?? spooled.size, spooled.size)
  // Arrays of one chunk, so that nothing is read ahead of the consumer.
  return Stream.unfold(
    range?.start ?? 0,
    Effect.fnUntraced(function* (start: number) {
      if (start >= end) return undefined
      const chunk = Buffer.allocUnsafeSlow(Math.min(end - start, blockBytes))
      yield* readInto(spooled, start, chunk)
      return [chunk, start + chunk.length] as const
    })
  )
}

export const layerWith = ({ directory, memoryLimit }: { readonly directory: string; readonly memoryLimit: number }) =>
  Layer.succeed(Spool, {
    open: Effect.map(Effect.acquireRelease(temporaryFile(directory), close), (fd): SpoolPlace => ({
      fd,
      directory,
      memoryLimit
    })),
    writer,
    revise,
    read,
    readInto
  })
