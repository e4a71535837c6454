/**
 * Downloads the newest state of each instance for a comparison. As in the daemon, an object that is corrupt in two
 * downloads, or refused, is left out, and the next-newest one of its instance is used; the report contains both.
 */
import { Effect, Scope } from "effect"
import type { SpooledState, Unusable, UnusableObject } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import type { Spooled } from "../../services/Spool.ts"
import type { StoredObject } from "../../services/Storage.ts"
import * as SettledListing from "../snapshots/SettledListing.ts"
import { newestStates, unreachable } from "../snapshots/StateObjects.ts"
import * as CheckedSnapshot from "./CheckedSnapshot.ts"

export interface SpooledStates {
  /** The listed objects with the prefix of the database. */
  readonly listed: ReadonlyArray<StoredObject>
  /** States of the instances, sorted by the names of the instances. */
  readonly states: ReadonlyArray<SpooledState>
  /** Listed objects that are newer than the states of their instances. */
  readonly unusable: ReadonlyArray<UnusableObject>
}

/** Maximum number of listings. If a cleaner deletes an object before it is loaded, a new listing has a newer one. */
const listingsMax = 3

/** Collects what is known about the objects, by their names. */
class Known {
  readonly spooled = new Map<string, Spooled>()
  readonly unusable = new Map<string, UnusableObject>()
  private readonly corruptOnce = new Set<string>()

  /** Records unusable objects. A corrupt one is downloaded once more, because another copy may be intact. */
  learn(objects: ReadonlyArray<UnusableObject>): void {
    for (const object of objects) {
      const { isRefused, name } = object
      this.spooled.delete(name)
      if (isRefused || this.corruptOnce.has(name)) this.unusable.set(name, object)
      this.corruptOnce.add(name)
    }
  }
}

/** Returns the first delta of each instance that cannot be reached because an object is missing in the bucket. */
const gapsOf = (database: string, objects: ReadonlyArray<StoredObject>): ReadonlyArray<UnusableObject> =>
  Array.from(Map.groupBy(unreachable(database, objects), ({ name }) => name.instance).values(), ([first]) => ({
    name: first!.object.name,
    problem: "an object before this delta is missing",
    isRefused: false
  }))

/** Downloads the objects that are not in the spool yet. Their places belong to the scope. */
const download = Effect.fnUntraced(function* (database: string, { spooled, unusable }: Known) {
  const { measure } = yield* Progress
  const listed = yield* SettledListing.list(database)
  const usable = listed.filter(({ name }) => !unusable.has(name))
  const states = newestStates(database, usable)
  const missing = states.flatMap(({ objects }) => objects).filter(({ object }) => !spooled.has(object.name))
  const total = missing.reduce((sum, { object }) => sum + object.size, 0)
  // The progress line ends before that of the comparison begins. The places stay open.
  yield* Effect.acquireUseRelease(
    Scope.make(),
    Effect.fnUntraced(function* (shown) {
      const work = { label: `Downloading snapshots of ${database}`, unit: "bytes", total } as const
      const meter = yield* Scope.provide(measure(work), shown)
      for (const snapshot of missing)
        spooled.set(snapshot.object.name, yield* CheckedSnapshot.download(snapshot, meter))
    }),
    (shown, exit) => Scope.close(shown, exit)
  )
  return {
    listed,
    states: states.map(({ instance, objects }) => ({
      instance,
      objects: objects.map(({ object }) => ({ object, spooled: spooled.get(object.name)! }))
    })),
    unusable: [...listed.flatMap(({ name }) => unusable.get(name) ?? []), ...gapsOf(database, listed)]
  } satisfies SpooledStates
})

export const isUnusable = <A>(result: A | Unusable): result is Unusable =>
  typeof result === "object" && result !== null && "_tag" in result && result._tag === "Unusable"

/** Runs `use`, and repeats it with other objects until all of the given objects can be used. */
export const forComparison = Effect.fn("SpooledStates.forComparison")(function* <A, E, R>(
  database: string,
  use: (states: SpooledStates) => Effect.Effect<A | Unusable, E, R>
) {
  const known = new Known()
  for (;;) {
    const states = yield* Effect.retry(download(database, known), {
      times: listingsMax - 1,
      while: (error) => error._tag === "StorageError" && error.reason._tag === "ObjectNotFound"
    })
    const result = yield* use(states)
    if (!isUnusable(result)) return result
    known.learn(result.objects)
  }
}, Effect.scoped)
