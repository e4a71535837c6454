/**
 * The order of a listing: that of the names' bytes in UTF-8, as object stores have it. JavaScript by itself compares
 * UTF-16 code units, which puts characters beyond U+FFFF before those from U+E000 on.
 */
import type { StoredObject } from "../../services/Storage.ts"

/**
 * Each name is encoded once. Lists that are in order already, as those of most stores, cost one pass of comparisons.
 */
export const sortByName = (objects: ReadonlyArray<StoredObject>): ReadonlyArray<StoredObject> =>
  objects
    .map((object) => ({ bytes: Buffer.from(object.name), object }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ object }) => object)
