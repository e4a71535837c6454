/**
 * Entries of one DBI, as offsets into one buffer, without an object, view or BigInt per entry. A batch is reused: it is
 * valid until its producer continues. Entry `i` has the key `bytes[keyStart[i]..keyEnd[i])` and the value
 * `bytes[valueStart[i]..valueEnd[i])`.
 */
export interface EntryBatch {
  bytes: Uint8Array
  count: number
  /** Offsets into `bytes`. */
  readonly keyStart: Uint32Array
  readonly keyEnd: Uint32Array
  readonly valueStart: Uint32Array
  readonly valueEnd: Uint32Array
  /** Nanoseconds since the UNIX epoch, unsigned, as two halves. */
  readonly timestampHigh: Uint32Array
  readonly timestampLow: Uint32Array
  /** Flags as stored, not masked, truncated to 32 bits. */
  readonly flags: Uint32Array
}

export const make = (capacity: number): EntryBatch => ({
  bytes: new Uint8Array(0),
  count: 0,
  keyStart: new Uint32Array(capacity),
  keyEnd: new Uint32Array(capacity),
  valueStart: new Uint32Array(capacity),
  valueEnd: new Uint32Array(capacity),
  timestampHigh: new Uint32Array(capacity),
  timestampLow: new Uint32Array(capacity),
  flags: new Uint32Array(capacity)
})
