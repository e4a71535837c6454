/**
 * Reads entries that lie completely in one chunk into a batch, in place: offsets only, without copies and allocations.
 *
 * `scanEntries` knows the layouts that writers use, and stops at any other layout without an error. `readEntry` reads
 * one entry of any legal layout and reports the problem of an illegal one. Source: docs/format.md.
 */
import type { EntryBatch } from "./EntryBatch.ts"
import { Bad, Done, type FieldReader, Fixed64, Length, Varint } from "./ProtobufWire.ts"
import { maxKeyBytes } from "../lmdb/Limits.ts"

// Tags: field number and wire type.
const entryTag = 0x12
const keyTag = 0x0a
const valueTag = 0x12
const timestampTag = 0x19
const flagsTag = 0x20

/**
 * Adds entries that start at `bytes[from]` and end by `limit`. It stops when the batch is full or an entry has another
 * layout than key, value, flags, timestamp (the last two swapped in snapshots of 0.3), with lengths in as few bytes as
 * possible. Returns the offset at which it stopped.
 *
 * This loop runs for every entry of every snapshot, so it calls no function. Every bound is checked before a byte is
 * read.
 */
export const scanEntries = (bytes: Uint8Array, from: number, limit: number, batch: EntryBatch): number => {
  const { flags, keyEnd, keyStart, timestampHigh, timestampLow, valueEnd, valueStart } = batch
  const capacity = keyStart.length
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let count = batch.count
  let at = from
  while (count < capacity && at + 5 <= limit && bytes[at] === entryTag) {
    let p = at + 2
    let length = bytes[at + 1]!
    if (length > 0x7f) {
      const second = bytes[p++]!
      length = (length & 0x7f) | (second << 7)
      if (second > 0x7f) {
        const third = bytes[p++]!
        if (third > 0x7f) break
        length = (length & 0x3fff) | (third << 14)
      }
    }
    const end = p + length
    if (end > limit || length < 3 || bytes[p] !== keyTag) break
    let size = bytes[p + 1]!
    p += 2
    if (size > 0x7f) size = (size & 0x7f) | (bytes[p++]! << 7)
    const key = p
    p += size
    if (size === 0 || size > maxKeyBytes || p > end) break
    const keyStop = p
    let value = p
    if (p + 1 < end && bytes[p] === valueTag) {
      size = bytes[p + 1]!
      p += 2
      if (size > 0x7f) {
        if (p + 1 >= end) break
        const second = bytes[p++]!
        size = (size & 0x7f) | (second << 7)
        if (second > 0x7f) {
          const third = bytes[p++]!
          if (third > 0x7f) break
          size = (size & 0x3fff) | (third << 14)
        }
      }
      value = p
      p += size
    }
    const valueStop = p
    let flag = 0
    if (p + 1 < end && bytes[p] === flagsTag) {
      flag = bytes[p + 1]!
      if (flag > 0x7f) break
      p += 2
    }
    let high = 0
    let low = 0
    if (p + 8 < end && bytes[p] === timestampTag) {
      low = view.getUint32(p + 1, true)
      high = view.getUint32(p + 5, true)
      p += 9
      if (p + 1 < end && bytes[p] === flagsTag) {
        flag = bytes[p + 1]!
        if (flag > 0x7f) break
        p += 2
      }
    }
    if (p !== end) break
    keyStart[count] = key
    keyEnd[count] = keyStop
    valueStart[count] = value
    valueEnd[count] = valueStop
    // The typed array stores the number modulo 2^32, unsigned.
    timestampHigh[count] = high
    timestampLow[count] = low
    flags[count] = flag
    count++
    at = end
  }
  batch.count = count
  return at
}

/**
 * Adds the entry `bytes[start..end)`, without its tag and length. Returns its problem, or undefined. The batch must
 * have room for it.
 */
export const readEntry = (
  fields: FieldReader,
  bytes: Uint8Array,
  start: number,
  end: number,
  batch: EntryBatch
): string | undefined => {
  const i = batch.count
  let keyStart = start,
    keyEnd = start,
    valueStart = start,
    valueEnd = start,
    high = 0,
    low = 0,
    flags = 0
  for (let at = start; at < end; at = fields.at) {
    const status = fields.step(bytes, at, end)
    if (status === Bad) return fields.problem
    if (status !== Done) return "a field passes the end of its entry"
    const problem = entryFieldProblem(fields, end - fields.at)
    if (problem !== undefined) return problem
    if (fields.field === 3) {
      high = fields.high
      low = fields.low
    } else if (fields.field === 4) flags = fields.low
    if (fields.wire !== Length) continue
    const stop = fields.at + fields.length
    if (fields.field === 1) {
      keyStart = fields.at
      keyEnd = stop
    } else if (fields.field === 2) {
      valueStart = fields.at
      valueEnd = stop
    }
    fields.at = stop
  }
  if (keyEnd === keyStart) return emptyKey
  batch.keyStart[i] = keyStart
  batch.keyEnd[i] = keyEnd
  batch.valueStart[i] = valueStart
  batch.valueEnd[i] = valueEnd
  batch.timestampHigh[i] = high
  batch.timestampLow[i] = low
  batch.flags[i] = flags
  batch.count = i + 1
  return undefined
}

export const emptyKey = "an entry without a key"

const wireOf: ReadonlyArray<number> = [Bad, Length, Length, Fixed64, Varint]

/** Returns the problem with the head of a field in an entry that has `rest` more bytes, or undefined. */
export const entryFieldProblem = (fields: FieldReader, rest: number): string | undefined => {
  const { field, wire } = fields
  if (field <= 4 && wire !== wireOf[field]) return `field ${field} of an entry has wire type ${wire}`
  if (wire !== Length) return undefined
  const { length } = fields
  if (length > rest) return "the length of a field passes the end of its entry"
  return field === 1 && length > maxKeyBytes ? `a key of ${length} bytes: ${maxKeyBytes} is the most` : undefined
}
