/**
 * The objects that are not loaded again as long as the bucket contains them unchanged, and the reasons. An object that
 * was replaced by another one under its name, or that has disappeared, is forgotten. Plain state of one database.
 */
import type { StoredObject } from "../../../services/Storage.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

export interface WhyQuarantined {
  /**
   * True if the only problem of the object, and of all earlier deltas of its instance, is that it is too old by our
   * clock.
   */
  readonly isTooOld?: boolean
  /**
   * True if the object is our own, from before the start, and refused. It may be the only copy of its data, so nothing
   * may hide it.
   */
  readonly blocksSending?: boolean
}

interface Quarantined {
  readonly size: number
  readonly etag: string
  /** Its time in nanoseconds, if the problem was its age. */
  readonly tooOldNano: bigint | undefined
  readonly blocksSending: boolean
}

export class QuarantinedObjects {
  private readonly objects = new Map<string, Quarantined>()

  has(name: string): boolean {
    return this.objects.has(name)
  }

  get names(): ReadonlyArray<string> {
    return Array.from(this.objects.keys())
  }

  /** True if one of them blocks sending. */
  get blockSending(): boolean {
    for (const { blocksSending } of this.objects.values()) if (blocksSending) return true
    return false
  }

  add({ name, object }: Snapshot, { blocksSending = false, isTooOld = false }: WhyQuarantined): void {
    const tooOldNano = isTooOld ? name.timestampNano : undefined
    this.objects.set(object.name, { size: object.size, etag: object.etag, tooOldNano, blocksSending })
  }

  /** Releases objects that were too old only because our clock was wrong. Returns their names. */
  release(isTooOld: (timestampNano: bigint) => boolean): ReadonlyArray<string> {
    const names = Array.from(this.objects)
      .filter(([, { tooOldNano }]) => tooOldNano !== undefined && !isTooOld(tooOldNano))
      .map(([name]) => name)
    for (const name of names) this.objects.delete(name)
    return names
  }

  /**
   * Forgets objects that are no longer listed unchanged. Returns true if one that blocked sending was replaced by
   * another object under its name. `listed` contains the listed objects by name.
   */
  keepOnly(listed: ReadonlyMap<string, StoredObject>): boolean {
    let wasReplaced = false
    for (const [name, { blocksSending, etag, size }] of this.objects) {
      const object = listed.get(name)
      if (object?.size === size && object.etag === etag) continue
      this.objects.delete(name)
      if (blocksSending && object !== undefined) wasReplaced = true
    }
    return wasReplaced
  }
}
