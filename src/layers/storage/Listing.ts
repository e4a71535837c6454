/**
 * The order of a listing: that of the names' bytes in UTF-8, as object stores have it. JavaScript
 * compares UTF-16 code units, which puts characters beyond U+FFFF (surrogates, 0xD800 and up) before those from U+E000
 * on; shifting these two ranges gives the order of the bytes.
 */
import type { StoredObject } from "../../services/Storage.ts"

const rank = (unit: number) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

export const compareNames = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Sorts in place. Lists that are in order already, as those of most stores, cost one pass. */
export const sortByName = (objects: Array<StoredObject>): ReadonlyArray<StoredObject> =>
  objects.sort((a, b) => compareNames(a.name, b.name))
