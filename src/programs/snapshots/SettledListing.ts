/**
 * Lists the objects of a database, and looks again before a gap in front of a delta counts as one.
 *
 * A listing of many objects is not one moment: while it is read page by page, an instance may store an object whose
 * place is in an earlier page and then a delta that leads on from it, or a cleaner may delete an object. An instance
 * stores a delta only after the object that leads to it. Therefore a listing that begins after a delta was seen shows
 * that object, unless it is really missing.
 */
import { Effect } from "effect"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import { Storage } from "../../services/Storage.ts"
import { unreachable } from "./StateObjects.ts"

/** Maximum number of listings, because other deltas may be seen without their predecessors each time. */
const listingsMax = 3

/**
 * Returns the objects. If a delta cannot be reached from them, at least two listings have shown that. A delta that only
 * the last listing has shown is omitted, as if that listing had been made before the delta was stored.
 */
export const list = Effect.fn("SettledListing.list")(function* (database: string) {
  const storage = yield* Storage
  let suspected: ReadonlySet<string> = new Set()
  for (let listing = 1; ; listing++) {
    const objects = yield* storage.list(listingPrefix(database))
    const beyond = unreachable(database, objects).map(({ name }) => name.text)
    const unconfirmed = new Set(beyond.filter((name) => !suspected.has(name)))
    if (unconfirmed.size === 0) return objects
    if (listing === listingsMax) return objects.filter(({ name }) => !unconfirmed.has(name))
    suspected = new Set(beyond)
  }
})
