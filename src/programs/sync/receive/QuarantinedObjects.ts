/**
 * The objects that are not loaded again while they are in the bucket as they are now, and why. One that was replaced by
 * another object of its name, or is gone, is forgotten. Plain state of one database.
 */
import type { StoredObject } from "../../../services/Storage.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

export interface WhyQuarantined {
  /** Its time is all that is wrong with it, by our clock, and so it is with all deltas of its instance up to it. */
  readonly isTooOld?: boolean
  /** Ours, from before the start, and refused: it may be the only copy of what it holds, so nothing may hide it. */
  readonly blocksSending?: boolean
}

interface Quarantined {
  readonly size: number
  readonly etag: string
  /** Nanoseconds: its time, when that was what was wrong with it. */
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

  /** Whether one of them is ours and nothing may hide it. */
  get blockSending(): boolean {
    for (const { blocksSending } of this.objects.values()) if (blocksSending) return true
    return false
  }

  add({ name, object }: Snapshot, { blocksSending = false, isTooOld = false }: WhyQuarantined): void {
    const tooOldNano = isTooOld ? name.timestampNano : undefined
    this.objects.set(object.name, { size: object.size, etag: object.etag, tooOldNano, blocksSending })
  }

  /** Takes back those that were too old and are not: our clock was wrong. Returns their names. */
  takeBack(isTooOld: (timestampNano: bigint) => boolean): ReadonlyArray<string> {
    const names = Array.from(this.objects)
      .filter(([, { tooOldNano }]) => tooOldNano !== undefined && !isTooOld(tooOldNano))
      .map(([name]) => name)
    for (const name of names) this.objects.delete(name)
    return names
  }

  /**
   * Forgets those that are not listed as they were. Returns whether one that blocked sending was replaced by another
   * object of its name. `listed`: by name.
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
