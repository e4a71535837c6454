/**
 * `Codec` of gzip (RFC 1952) over Node's zlib: level 1 out, any valid gzip in. All of zlib's work is done on the thread
 * pool.
 *
 * Decompression is strict where Node is not. Node ends without an error at the first zero byte after a member, whatever
 * follows: what it left over is looked at here, and only zero bytes pass. Pieces of input must not change once they
 * were emitted: the next one is fetched while zlib still reads the one before. The offset in an error is where zlib
 * stood before the piece that broke: exact for truncation and garbage, else up to one piece of input early.
 */
import { Cause, Effect, Pull, Scope, Stream } from "effect"
import * as zlib from "node:zlib"
import * as GzipMember from "../../domain/snapshot/GzipMember.ts"
import { type Codec, CompressionError, type Members } from "../../services/Compression.ts"
import type { Bytes } from "../../domain/bytes/Bytes.ts"

const chunkBytes = 256 * 1024

/** Written down in docs/format.md. */
const compressOptions = { level: 1, memLevel: 8, windowBits: 15, strategy: zlib.constants.Z_DEFAULT_STRATEGY } as const

/**
 * Room for all of the output in most cases, so that zlib needs no second turn through the pool: at level 1 records
 * compress to less than half. Small members are mostly header: at least 1 KiB.
 */
const outputRoom = (length: number): number => Math.min(chunkBytes, 1024 + (length >>> 1))

// Uninterruptible: zlib reads the member until it is done, and the caller reuses it afterwards.
const compress: Codec["compress"] = (member) =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      zlib.gzip(member, { ...compressOptions, chunkSize: outputRoom(member.length) }, (error, compressed) => {
        resume(error === null ? Effect.succeed(GzipMember.withLength(compressed)) : Effect.die(error))
      })
    })
  )

/**
 * Objects instead of bytes on the readable side: `read` gives one piece, as zlib made it, and zlib is at work on the
 * next, no further.
 */
const gunzipOptions = { chunkSize: chunkBytes, readableObjectMode: true, readableHighWaterMark: 1 }

const corrupt = (problem: string, offset: number) => new CompressionError({ format: "gzip", problem, offset })

const firstNonZero = (bytes: Uint8Array): number => bytes.findIndex((byte) => byte !== 0)

/**
 * One container under way. Events of zlib set the fields and wake the one fiber that pulls. There is never more than
 * one write in zlib, so that nothing was handed over yet when it ends early; the next piece waits here, and goes in
 * from the callback of the one before.
 */
class Container<E, R> {
  private readonly gunzip = zlib.createGunzip(gunzipOptions)
  private readonly upstream: Pull.Pull<ReadonlyArray<Bytes>, E, void, R>
  private readonly queued: Array<Bytes> = []
  private current: Bytes = new Uint8Array(0)
  private fed = 0
  private writing = false
  private upstreamEnded = false
  private ended = false
  private failure: Error | undefined
  private changed = false
  private wake: (() => void) | undefined

  constructor(upstream: Pull.Pull<ReadonlyArray<Bytes>, E, void, R>) {
    this.upstream = upstream
    this.gunzip.on("readable", () => this.signal())
    this.gunzip.on("end", () => {
      this.ended = true
      this.takeBack()
      this.signal()
    })
    this.gunzip.on("error", (error) => {
      this.failure = error
      this.signal()
    })
  }

  readonly close = Effect.sync(() => void this.gunzip.destroy())

  /** The next piece of output. Everything that came before an error is given before the error. */
  readonly pull: Pull.Pull<readonly [Bytes], CompressionError | E, void, R> = Effect.suspend(() => {
    this.changed = false
    const chunk: Bytes | null = this.gunzip.read()
    if (chunk !== null) return Effect.succeed([chunk] as const)
    if (this.failure !== undefined) return corrupt(this.failure.message, this.gunzip.bytesWritten)
    if (this.ended) return this.afterEnd
    // Fetched while zlib works on the one before.
    if (this.queued.length === 0 && !this.upstreamEnded) return Effect.andThen(this.fetch, this.pull)
    if (this.queued.length === 0 && !this.writing) {
      if (this.fed === 0) return corrupt("it is empty", 0)
      this.gunzip.end()
    }
    return Effect.andThen(this.change, this.pull)
  })

  private readonly fetch: Effect.Effect<void, E, R> = Effect.suspend(() => this.upstream).pipe(
    Effect.map((chunks) => {
      for (const chunk of chunks) if (chunk.length > 0) this.queued.push(chunk)
      this.feed()
    }),
    Pull.catchDone(() => {
      this.upstreamEnded = true
      return Effect.void
    })
  )

  private readonly change = Effect.callback<void>((resume) => {
    if (this.changed) resume(Effect.void)
    else this.wake = () => resume(Effect.void)
  })

  /** Zlib saw the end of a member: nothing but zero bytes may be left. */
  private readonly afterEnd: Pull.Pull<never, CompressionError | E, void, R> = Effect.suspend(() => {
    for (const rest of this.queued.splice(0)) {
      const garbage = firstNonZero(rest)
      if (garbage >= 0) return corrupt("something follows the last member", this.fed + garbage)
      this.fed += rest.length
    }
    if (this.upstreamEnded) return Cause.done()
    return Effect.andThen(this.fetch, this.afterEnd)
  })

  /** What zlib was given and did not read. */
  private takeBack(): void {
    const left = this.fed - this.gunzip.bytesWritten
    if (left > 0) this.queued.unshift(this.current.subarray(this.current.length - left))
    this.fed -= left
  }

  private feed(): void {
    // Zlib read less than it was given: it has seen the end.
    if (this.writing || this.gunzip.bytesWritten !== this.fed) return
    const chunk = this.queued.shift()
    if (chunk === undefined) return
    this.current = chunk
    this.fed += chunk.length
    this.writing = true
    this.gunzip.write(chunk, () => {
      this.writing = false
      this.feed()
      this.signal()
    })
  }

  private signal(): void {
    this.changed = true
    const wake = this.wake
    this.wake = undefined
    wake?.()
  }
}

const decompress: Codec["decompress"] = (compressed) =>
  Stream.transformPullBracket(compressed, (upstream, _scope, forkedScope) =>
    Effect.suspend(() => {
      const container = new Container(upstream)
      return Effect.as(Scope.addFinalizer(forkedScope, container.close), container.pull)
    })
  )

/** Uninterruptible, like `compress`. */
const decompressMember: Members["decompress"] = (member) =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      const length = GzipMember.contentLength(member)
      // One byte of room more than it says: content that is longer than that is noticed, and not made.
      zlib.gunzip(
        member,
        { chunkSize: Math.max(64, length + 1), maxOutputLength: length + 1, info: true },
        (error, result) => {
          if (error !== null) return resume(corrupt(error.message, 0))
          // That is what `info` makes of it, unknown to the types.
          const { buffer, engine } = result as unknown as {
            readonly buffer: Buffer<ArrayBuffer>
            readonly engine: zlib.Gunzip
          }
          resume(
            engine.bytesWritten === member.length
              ? Effect.succeed(buffer)
              : corrupt("a member is shorter than it says", engine.bytesWritten)
          )
        }
      )
    })
  )

const members: Members = {
  headBytes: GzipMember.headerBytes,
  lengthOf: GzipMember.lengthOf,
  contentLength: GzipMember.contentLength,
  decompress: decompressMember
}

export const codec: Codec = { compress, decompress, members }
