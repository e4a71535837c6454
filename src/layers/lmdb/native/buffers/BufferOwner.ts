/**
 * Tells to whom the content of the package's buffers belongs: to a cursor, or to the result of a `get`. Each of them
 * shows an entry that is still in those buffers, and the next read or write overwrites it, whichever environment of
 * this thread it is for.
 *
 * Guarantees: the content shown by an owner stays valid until the owner's own next call, whatever else in this thread
 * reads or writes in between. Before its bytes are overwritten, they are copied to a buffer of its own, and its fields
 * change accordingly. The fields must therefore be read again after any other call: arrays and offsets kept from before
 * may hold the content of another owner. A single cursor never copies.
 *
 * The owner belongs to the module rather than to an environment, as the package's buffers do.
 */

export interface Owner {
  /** Copies the content to buffers of its own. */
  readonly keep: () => void
}

let owner: Owner | undefined

/** Makes `it` the owner. What it shows has just been read. */
export const own = (it: Owner): void => {
  owner = it
}

/** Ends the ownership of `it`, whose content is no longer needed. */
export const disown = (it: Owner): void => {
  if (owner === it) owner = undefined
}

/** Must be called before any operation that overwrites the package's buffers, except for operations of `next`. */
export const displace = (next?: Owner): void => {
  if (owner !== undefined && owner !== next) {
    owner.keep()
    owner = undefined
  }
}

/** Copies bytes into `target`, or into a larger buffer if they do not fit. Returns the buffer. */
export const copyInto = (target: Uint8Array, bytes: Uint8Array, start: number, end: number): Uint8Array => {
  const length = end - start
  const copy = target.length >= length ? target : new Uint8Array(Math.max(length, 2 * target.length, 256))
  if (length > 64) copy.set(bytes.subarray(start, end))
  else for (let i = 0; i < length; i++) copy[i] = bytes[start + i]!
  return copy
}
