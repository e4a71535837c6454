/**
 * Keys in the shadow of an MDB_DUPSORT DBI (`dupsort_hack_v1`), which has one entry per pair of key and value.
 *
 *     key ‖ 00 00 00 00 ‖ value, truncated to 506 bytes less the length of the key ‖ length of the key, one byte
 *
 * Source: docs/sync.md. These functions run once per entry and do not allocate.
 */
import { compareBytes } from "../bytes/ByteOrder.ts"
import { maxKeyBytes } from "./Limits.ts"

const separator = 4
/** Maximum length of the application's key in bytes, because the length is stored in one byte. */
export const maxPairKeyBytes = 255

/**
 * Writes the shadow key of a pair to the start of `target` (511 bytes). Returns its length, or 0 if the key is empty or
 * too long.
 */
export const write = (
  target: Uint8Array,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number
): number => {
  const length = keyEnd - keyStart
  if (length === 0 || length > maxPairKeyBytes) return 0
  let at = 0
  for (let p = keyStart; p < keyEnd; p++) target[at++] = key[p]!
  for (let i = 0; i < separator; i++) target[at++] = 0
  const room = maxKeyBytes - 1 - at
  const end = valueEnd - valueStart > room ? valueStart + room : valueEnd
  for (let p = valueStart; p < end; p++) target[at++] = value[p]!
  target[at++] = length
  return at
}

/** True if `bytes[start..end)` has the layout of a shadow key. */
export const isLayout = (bytes: Uint8Array, start: number, end: number): boolean => {
  const length = bytes[end - 1]!
  const at = start + length
  return (
    length > 0 &&
    at + separator < end &&
    bytes[at] === 0 &&
    bytes[at + 1] === 0 &&
    bytes[at + 2] === 0 &&
    bytes[at + 3] === 0
  )
}

/** True if the shadow key `bytes[start..end)`, of the right layout, belongs to this value. */
export const isOfValue = (
  bytes: Uint8Array,
  start: number,
  end: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number
): boolean => {
  const room = maxKeyBytes - 1 - separator - bytes[end - 1]!
  const length = valueEnd - valueStart
  const at = start + bytes[end - 1]! + separator
  return compareBytes(bytes, at, end - 1, value, valueStart, valueStart + (length > room ? room : length)) === 0
}

/** Returns the offset at which the key of the pair ends, in a shadow key `bytes[start..end)` of the right layout. */
export const keyEnd = (bytes: Uint8Array, start: number, end: number): number => start + bytes[end - 1]!
