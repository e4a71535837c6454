/**
 * Parses the names of one database's snapshots in listings. Each name is parsed once for as long as it is listed: a
 * bucket that is not cleaned has thousands of names, and parsing all of them at each poll would block the event loop.
 * It is plain state.
 */
import { Array as Arr, Effect } from "effect"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"

export interface Snapshot {
  readonly name: SnapshotName.SnapshotName
  readonly object: StoredObject
}

/** Number of names that are parsed before the event loop gets a turn. */
const atOnce = 500

export class ListedSnapshots {
  private readonly database: string
  private names = new Map<string, SnapshotName.SnapshotName | undefined>()
  private objects: ReadonlyArray<StoredObject> | undefined

  constructor(database: string) {
    this.database = database
  }

  private parse(text: string): SnapshotName.SnapshotName | undefined {
    if (this.names.has(text)) return this.names.get(text)
    const name = SnapshotName.parse(text)
    // The names of other databases may begin with the same prefix.
    return name?.database === this.database ? name : undefined
  }

  /** True if this is the same array that was last passed to `by`. */
  knows(objects: ReadonlyArray<StoredObject>): boolean {
    return objects === this.objects
  }

  /** Parses names before `by` needs them. */
  learn(objects: ReadonlyArray<StoredObject>): void {
    for (const { name } of objects) this.names.set(name, this.parse(name))
  }

  /** Returns the snapshots of a whole listing by instance, oldest first. Names that are not in it are forgotten. */
  by(objects: ReadonlyArray<StoredObject>): Map<string, Array<Snapshot>> {
    const names = new Map<string, SnapshotName.SnapshotName | undefined>()
    const instances = new Map<string, Array<Snapshot>>()
    for (const object of objects) {
      const name = this.parse(object.name)
      names.set(object.name, name)
      if (name === undefined) continue
      const list = instances.get(name.instance)
      if (list === undefined) instances.set(name.instance, [{ name, object }])
      else list.push({ name, object })
    }
    for (const list of instances.values()) list.sort((a, b) => SnapshotName.compare(a.name, b.name))
    this.names = names
    this.objects = objects
    return instances
  }
}

/** Parses the names of a listing before `by` needs them, and yields to the event loop in between. */
export const learnInTurns = (listed: ListedSnapshots, objects: ReadonlyArray<StoredObject>) =>
  Effect.forEach(
    listed.knows(objects) ? [] : Arr.chunksOf(objects, atOnce),
    (part) =>
      Effect.andThen(
        Effect.sync(() => listed.learn(part)),
        Effect.yieldNow
      ),
    { discard: true }
  )
