/** The order in which the bytes of a place are read, as a list of extents. */
import type { Extent, Spooled } from "../../services/Spool.ts"

/** Adds an extent. If it continues the last one, the last one is extended instead. */
const add = (extents: Array<Extent>, { end, start }: Extent): void => {
  const last = extents[extents.length - 1]
  if (last?.end === start) extents[extents.length - 1] = { start: last.start, end }
  else if (end > start) extents.push({ start, end })
}

/**
 * Collects extents in reading order, which differs from the order of writing where bytes are inserted at a mark:
 *
 *     append A, mark m, append B, insert C at m   ->   A C B
 *
 * A part is what was appended between two marks, or what was inserted at one.
 */
export class ExtentList {
  readonly #parts: Array<Array<Extent>> = [[]]

  /** Adds an extent at the end. */
  append(extent: Extent): void {
    add(this.#parts[this.#parts.length - 1]!, extent)
  }

  /** Marks the end. Later extents are appended after all that is inserted there. */
  mark(): number {
    return this.#parts.push([], []) - 2
  }

  /** Adds an extent at a mark, after earlier insertions there. */
  insert(mark: number, extent: Extent): void {
    add(this.#parts[mark]!, extent)
  }

  get all(): ReadonlyArray<Extent> {
    return this.#parts.flat()
  }
}

export const sizeOf = (extents: ReadonlyArray<Extent>): number =>
  extents.reduce((sum, { end, start }) => sum + end - start, 0)

/**
 * Returns where the bytes from `from` to at most `to` in reading order are, up to the end of their extent. The result
 * is empty if the content ends before `from`.
 */
export const locate = ({ extents }: Pick<Spooled, "extents">, from: number, to: number): Extent => {
  let before = 0
  for (const { end, start } of extents) {
    const length = end - start
    if (from < before + length) return { start: start + from - before, end: start + Math.min(to - before, length) }
    before += length
  }
  return { start: 0, end: 0 }
}
