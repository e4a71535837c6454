/** Writes a place of `SpoolFile`: in memory up to its limit, and beyond that in its file. */
import { Effect } from "effect"
import {
  type Extent,
  type Spooled,
  type SpoolError,
  type SpoolPlace,
  type SpoolReviser,
  writtenBytes
} from "../../services/Spool.ts"
import * as SpoolBlocks from "./SpoolBlocks.ts"
import { ExtentList, locate, sizeOf } from "./SpoolExtents.ts"
import { writeAll } from "./SpoolFileCalls.ts"

export class SpoolFileWriter implements SpoolReviser {
  readonly #place: SpoolPlace
  /** The content that is revised. It stays readable, so nothing of it is overwritten. */
  readonly #earlier: Spooled | undefined
  readonly #extents = new ExtentList()
  /** Number of bytes written to the place. The next ones follow them. */
  #written: number
  #blocks: Array<SharedArrayBuffer>
  #isInFile: boolean

  constructor(place: SpoolPlace, earlier?: Spooled) {
    this.#place = place
    this.#earlier = earlier
    this.#written = earlier === undefined ? 0 : writtenBytes(earlier)
    this.#blocks = (earlier?.memory ?? []).slice(0, Math.ceil(this.#written / SpoolBlocks.blockBytes))
    this.#isInFile = this.#written > 0 && this.#blocks.length === 0
  }

  readonly append = (chunk: Uint8Array): Effect.Effect<void, SpoolError> =>
    Effect.map(this.#write(chunk), (extent) => this.#extents.append(extent))

  readonly mark = (): number => this.#extents.mark()

  readonly insert = (mark: number, chunk: Uint8Array): Effect.Effect<void, SpoolError> =>
    Effect.map(this.#write(chunk), (extent) => this.#extents.insert(mark, extent))

  readonly take = (start: number, end: number): void => {
    if (this.#earlier === undefined) return
    for (let at = start; at < end;) {
      const extent = locate(this.#earlier, at, end)
      if (extent.end === extent.start) return
      this.#extents.append(extent)
      at += extent.end - extent.start
    }
  }

  readonly finish: Effect.Effect<Spooled> = Effect.sync(() => {
    const extents = this.#extents.all
    return { place: this.#place, size: sizeOf(extents), memory: this.#blocks, extents }
  })

  /** Writes a copy of the chunk after all other bytes of the place. Returns where it is. */
  readonly #write = Effect.fnUntraced({ self: this }, function* (chunk: Uint8Array) {
    const start = this.#written
    const end = start + chunk.length
    if (!this.#isInFile && end > this.#place.memoryLimit) yield* this.#moveToFile()
    if (this.#isInFile) yield* writeAll(this.#place, chunk, start)
    else SpoolBlocks.append(this.#blocks, start, chunk)
    this.#written = end
    return { start, end } satisfies Extent
  })

  /**
   * The blocks are dropped only after all of them have been written, so that an append that failed on a full disk can
   * be repeated.
   */
  readonly #moveToFile = Effect.fnUntraced({ self: this }, function* () {
    for (const [index, block] of this.#blocks.entries()) {
      const position = index * SpoolBlocks.blockBytes
      const length = Math.min(SpoolBlocks.blockBytes, this.#written - position)
      yield* writeAll(this.#place, new Uint8Array(block, 0, length), position)
    }
    this.#blocks = []
    this.#isInFile = true
  })
}
