/**
 * `Codec` of gzip (RFC 1952) over Node's zlib. It compresses at level 1 and decompresses any valid gzip. All of zlib's
 * work is done on the thread pool.
 *
 * Decompression is stricter than Node's. Node ends without an error at the first zero byte after a member, whatever
 * follows, so this module checks the remaining input and accepts only zero bytes. A piece of input must not change
 * after it was emitted, because the next piece is fetched while zlib still reads it. The offset in an error is where
 * zlib stood before the piece that failed: exact for truncation and garbage, otherwise early by at most one piece of
 * input.
 */
import { Cause, Effect, Pull, Scope, Stream } from "effect"
import * as zlib from "node:zlib"
import * as GzipMember from "../../domain/snapshot/GzipMember.ts"
import { type Codec, CompressionError, type Members } from "../../services/Compression.ts"
import type { Bytes } from "../../domain/bytes/Bytes.ts"

const chunkBytes = 256 * 1024

/** docs/format.md specifies these options. */
const compressOptions = { level: 1, memLevel: 8, windowBits: 15, strategy: zlib.constants.Z_DEFAULT_STRATEGY } as const

/**
 * Returns a buffer size that holds all of the output in most cases, so that zlib needs no second turn through the pool:
 * records compress to less than half at level 1. The minimum is 1 KiB, because small members are mostly header.
 */
const outputRoom = (length: number): number => Math.min(chunkBytes, 1024 + (length >>> 1))

// Uninterruptible, because zlib reads the member until it is done and the caller reuses the member afterwards.
const compress: Codec["compress"] = (member) =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      zlib.gzip(member, { ...compressOptions, chunkSize: outputRoom(member.length) }, (error, compressed) => {
        resume(error === null ? Effect.succeed(GzipMember.withLength(compressed)) : Effect.die(error))
      })
    })
  )

/**
 * The readable side is in object mode: `read` returns one piece as zlib made it, while zlib works on the next piece and
 * no further.
 */
const gunzipOptions = { chunkSize: chunkBytes, readableObjectMode: true, readableHighWaterMark: 1 }

const corrupt = (problem: string, offset: number) => new CompressionError({ format: "gzip", problem, offset })

const firstNonZero = (bytes: Uint8Array): number => bytes.findIndex((byte) => byte !== 0)

/**
 * A container that is being decompressed. Zlib's events set the fields and wake the one fiber that pulls. Zlib has at
 * most one write at a time, so that no further input was handed over when it ends early. The next piece waits here and
 * is written in the callback of the previous one.
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
      this.recycle()
      this.signal()
    })
    this.gunzip.on("error", (error) => {
      this.failure = error
      this.signal()
    })
  }

  readonly close = Effect.sync(() => void this.gunzip.destroy())

  /** The next piece of output. All output that precedes an error is emitted before the error. */
  readonly pull: Pull.Pull<readonly [Bytes], CompressionError | E, void, R> = Effect.suspend(() => {
    this.changed = false
    const chunk: Bytes | null = this.gunzip.read()
    if (chunk !== null) return Effect.succeed([chunk] as const)
    if (this.failure !== undefined) return corrupt(this.failure.message, this.gunzip.bytesWritten)
    if (this.ended) return this.afterEnd
    // Fetched while zlib works on the previous piece.
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

  /** Zlib has seen the end of a member. Only zero bytes may remain. */
  private readonly afterEnd: Pull.Pull<never, CompressionError | E, void, R> = Effect.suspend(() => {
    for (const rest of this.queued.splice(0)) {
      const garbage = firstNonZero(rest)
      if (garbage >= 0) return corrupt("something follows the last member", this.fed + garbage)
      this.fed += rest.length
    }
    if (this.upstreamEnded) return Cause.done()
    return Effect.andThen(this.fetch, this.afterEnd)
  })

  /** Takes back the input that zlib was given and did not read. */
  private recycle(): void {
    const left = this.fed - this.gunzip.bytesWritten
    if (left > 0) this.queued.unshift(this.current.subarray(this.current.length - left))
    this.fed -= left
  }

  private feed(): void {
    // Zlib has seen the end when it read less than it was given.
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

/** Uninterruptible for the same reason as `compress`. */
const decompressMember: Members["decompress"] = (member) =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      const length = GzipMember.contentLength(member)
      // One byte more than the announced size, so that longer content is detected without being produced.
      zlib.gunzip(
        member,
        { chunkSize: Math.max(64, length + 1), maxOutputLength: length + 1, info: true },
        (error, result) => {
          if (error !== null) return resume(corrupt(error.message, 0))
          // The result with the option `info`, which the types do not declare.
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
