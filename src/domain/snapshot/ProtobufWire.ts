/**
 * The part of the protocol buffers wire format that snapshots use: reads the heads of fields from chunks of any size.
 *
 * The reader is strict: it accepts varints of at most 10 bytes and 64 bits (longer encodings than needed are legal),
 * and refuses field 0, groups and unknown wire types. Numbers are two 32-bit halves, so that nothing is allocated.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */

/** Wire types. */
export const Varint = 0
export const Fixed64 = 1
export const Length = 2
export const Fixed32 = 5

/** Results of `FieldReader.step`. */
export const More = 0
export const Done = 1
export const Bad = -1

/** Replaces the length of a field that is longer than any file. */
const unreachable = Number.MAX_SAFE_INTEGER

const highestField = 2 ** 29 - 1

type Phase = typeof phaseTag | typeof Varint | typeof Fixed64 | typeof Length | typeof Fixed32
const phaseTag = -1

/**
 * Reads one field after the other: the tag, and then the number (varint, fixed64, fixed32) or the length of the
 * content. The caller consumes the content of a field of wire type `Length` before it calls `step` again.
 */
export class FieldReader {
  /** Number of the field that was read. */
  field = 0
  wire = 0
  /** The number as unsigned 32-bit halves. For a field of wire type `Length` it is the length. */
  high = 0
  low = 0
  /** Offset in the array at which `step` stopped. */
  at = 0
  /** Describes the problem after `Bad`. */
  problem = ""

  #phase: Phase = phaseTag
  /** Number of bytes read so far of the current number. */
  #count = 0
  #high = 0
  #low = 0

  /** True in the middle of a field. */
  get started(): boolean {
    return this.#phase !== phaseTag || this.#count !== 0
  }

  /** The field's length in bytes, exact up to 2^53. */
  get length(): number {
    return this.high > 0x1f_ffff ? unreachable : this.high * 0x1_0000_0000 + this.low
  }

  /**
   * Reads on from `bytes[from..limit)`. Returns `Done` after a field, `More` when the bytes end before that, and `Bad`
   * when the bytes are not a field.
   */
  step(bytes: Uint8Array, from: number, limit: number): number {
    let at = from
    while (at < limit) {
      const byte = bytes[at++]!
      const status = this.#phase === Fixed64 || this.#phase === Fixed32 ? this.#fixed(byte) : this.#varint(byte)
      if (status !== More) {
        this.at = at
        return status
      }
    }
    this.at = at
    return More
  }

  #fixed(byte: number): number {
    if (this.#count < 4) this.#low |= byte << (8 * this.#count)
    else this.#high |= byte << (8 * this.#count - 32)
    return ++this.#count === (this.#phase === Fixed64 ? 8 : 4) ? this.#finish() : More
  }

  #varint(byte: number): number {
    const bits = byte & 0x7f
    const count = this.#count++
    if (count < 4) this.#low |= bits << (7 * count)
    else if (count === 4) {
      this.#low |= bits << 28
      this.#high = bits >>> 4
    } else if (count < 9) this.#high |= bits << (7 * count - 32)
    else if (byte > 0x7f) return this.#bad("a varint of more than 10 bytes")
    else if (byte > 1) return this.#bad("a varint of more than 64 bits")
    else this.#high |= byte << 31
    if (byte > 0x7f) return More
    return this.#phase === phaseTag ? this.#tag() : this.#finish()
  }

  #tag(): number {
    const low = this.#low >>> 0
    this.field = low >>> 3
    this.wire = low & 7
    if (this.#high !== 0 || this.field > highestField) return this.#bad("a field number of more than 29 bits")
    if (this.field === 0) return this.#bad("field number 0")
    const wire = this.wire
    if (wire !== Varint && wire !== Fixed64 && wire !== Length && wire !== Fixed32)
      return this.#bad(`field ${this.field} has wire type ${wire}`)
    this.#begin(wire)
    return More
  }

  #finish(): number {
    this.low = this.#low >>> 0
    this.high = this.#high >>> 0
    this.#begin(phaseTag)
    return Done
  }

  #begin(phase: Phase): void {
    this.#phase = phase
    this.#count = 0
    this.#low = 0
    this.#high = 0
  }

  #bad(problem: string): number {
    this.problem = problem
    return Bad
  }
}
