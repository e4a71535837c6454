/**
 * Sorts listings by the names' bytes in UTF-8, as object stores do. JavaScript's own comparison uses UTF-16 code units,
 * which puts characters beyond U+FFFF before those from U+E000 on.
 */
import type { StoredObject } from "../../services/Storage.ts"

/** Encodes each name once. A list that is already sorted, as most stores return it, costs one pass of comparisons. */
export const sortByName = (objects: ReadonlyArray<StoredObject>): ReadonlyArray<StoredObject> =>
  objects
    .map((object) => ({ bytes: Buffer.from(object.name), object }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ object }) => object)
