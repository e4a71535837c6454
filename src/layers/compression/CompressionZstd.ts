/**
 * `Codec` of zstd (RFC 8878) over the package zstd-napi: one frame per member, at level 1, with its size and a
 * checksum. Frames of other encoders are accepted if they need a window of at most 8 MiB, which bounds the memory.
 *
 * The package computes in the calling thread. `compress` blocks that thread for about 2 ms per MiB, and members are not
 * compressed in parallel; the caller is a database worker, never the main thread. This module uses zstd's own streaming
 * calls (`zstd-napi/binding`) instead of the package's Node streams, which emit everything that a piece of input
 * expands to at once, possibly a gigabyte, before any byte is read. The native code is loaded at the first use.
 */
import { Cause, Effect, Pull, Stream } from "effect"
import { type Codec, CompressionError } from "../../services/Compression.ts"
import type { Bytes } from "../../domain/bytes/Bytes.ts"
import { load as loadAddon, type Zstd } from "./ZstdAddon.ts"

type Compressor = InstanceType<Zstd["CCtx"]>

const chunkBytes = 256 * 1024
const windowLogMax = 23

// Node caches what is loaded. An addon that cannot be loaded is a broken installation, hence a defect, whose message
// says what to do.
const load: Effect.Effect<Zstd> = Effect.promise(loadAddon)

let compressor: Compressor | undefined

/** Returns the thread's compressor. One is enough, because it is never in use across turns of the event loop. */
const compressorOf = (zstd: Zstd): Compressor => {
  if (compressor === undefined) {
    compressor = new zstd.CCtx()
    compressor.setParameter(zstd.CParameter.compressionLevel, 1)
    compressor.setParameter(zstd.CParameter.checksumFlag, 1)
  }
  return compressor
}

const frame = (zstd: Zstd, member: Uint8Array): ReadonlyArray<Bytes> => {
  const context = compressorOf(zstd)
  // Puts the size into the header and makes the window as small as the member.
  context.setPledgedSrcSize(member.length)
  const pieces: Array<Bytes> = []
  for (let rest = member, left = 1; left > 0;) {
    const room = new Uint8Array(Math.min(chunkBytes, zstd.compressBound(rest.length)))
    const [hint, produced, consumed] = context.compressStream2(room, rest, zstd.EndDirective.end)
    pieces.push(room.subarray(0, produced))
    rest = rest.subarray(consumed)
    left = hint
  }
  return pieces
}

const corrupt = (problem: string, offset: number) => new CompressionError({ format: "zstd", problem, offset })

/** A container that is being decompressed. Each pull makes one piece of output in this thread. */
class Container<E, R> {
  private readonly decompressor: InstanceType<Zstd["DCtx"]>
  private readonly upstream: Pull.Pull<ReadonlyArray<Bytes>, E, void, R>
  private readonly queued: Array<Bytes> = []
  private room: Bytes = Buffer.allocUnsafeSlow(chunkBytes)
  private read = 0
  private inFrame = false
  /** True while zstd holds output that did not fit into the last buffer. */
  private more = false
  private padding = false
  private failure: CompressionError | undefined

  constructor(zstd: Zstd, upstream: Pull.Pull<ReadonlyArray<Bytes>, E, void, R>) {
    this.upstream = upstream
    this.decompressor = new zstd.DCtx()
    this.decompressor.setParameter(zstd.DParameter.windowLogMax, windowLogMax)
  }

  /** All output that precedes an error is emitted before the error. */
  readonly pull: Pull.Pull<readonly [Bytes], CompressionError | E, void, R> = Effect.suspend(() => {
    let filled = 0
    while (filled < chunkBytes && this.failure === undefined && (this.more || this.queued.length > 0)) {
      try {
        filled += this.step(this.room.subarray(filled))
      } catch (error) {
        this.failure =
          error instanceof CompressionError
            ? error
            : corrupt(error instanceof Error ? error.message : String(error), this.read)
      }
    }
    if (filled === 0) return this.failure ?? Effect.andThen(this.fetch, this.pull)
    const chunk = this.room.subarray(0, filled)
    this.room = Buffer.allocUnsafeSlow(chunkBytes)
    return Effect.succeed([chunk] as const)
  })

  private readonly fetch: Pull.Pull<void, CompressionError | E, void, R> = Effect.suspend(() => this.upstream).pipe(
    Effect.map((chunks) => {
      for (const chunk of chunks) if (chunk.length > 0) this.queued.push(chunk)
    }),
    Pull.catchDone((): Pull.Pull<never, CompressionError> => {
      if (this.inFrame) return corrupt("unexpected end of file", this.read)
      if (this.read === 0) return corrupt("it is empty", 0)
      return Cause.done()
    })
  )

  /**
   * Reads from the input, fills `room` from its start, and returns the number of bytes written. Throws the errors of
   * zstd and of the container.
   */
  private step(room: Bytes): number {
    const input = this.queued[0] ?? new Uint8Array(0)
    if (!this.inFrame && !this.more && (this.padding || input[0] === 0)) return this.skipPadding(input)
    const [hint, produced, consumed] = this.decompressor.decompressStream(room, input)
    this.read += consumed
    if (consumed < input.length) this.queued[0] = input.subarray(consumed)
    else this.queued.shift()
    this.inFrame = hint !== 0
    this.more = this.inFrame && produced === room.length
    return produced
  }

  /** A frame never begins with a zero byte, so only zero bytes may follow here. */
  private skipPadding(input: Bytes): number {
    if (this.read === 0) throw corrupt("it is no zstd frame", 0)
    const garbage = input.findIndex((byte) => byte !== 0)
    if (garbage >= 0) throw corrupt("something follows the last frame", this.read + garbage)
    this.padding = true
    this.read += input.length
    this.queued.shift()
    return 0
  }
}

const decompress: Codec["decompress"] = (compressed) =>
  Stream.transformPull(compressed, (upstream) => Effect.map(load, (zstd) => new Container(zstd, upstream).pull))

export const codec: Codec = {
  compress: (member) => Effect.map(load, (zstd) => frame(zstd, member)),
  decompress,
  members: undefined
}
