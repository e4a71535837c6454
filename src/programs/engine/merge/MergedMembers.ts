/**
 * Finds, while a snapshot is read, its members that contain only entries of one DBI, all of which were merged. Such
 * members contain nothing new from then on.
 */
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import { type KnownMember, mostMembers } from "./KnownMembers.ts"

/** Counts of the part of the snapshot that was read so far. */
export interface Counts {
  readonly entries: number
  /** Number of fields that are not entries. A member with such fields describes a DBI or the snapshot. */
  readonly otherFields: number
  /** Number of tombstones left out because of the cut-off. If an older entry arrives later, they win against it. */
  readonly leftOut: number
}

interface Current {
  readonly digest: string
  readonly bytes: number
  readonly before: Counts
  section: string
  firstKey: Uint8Array | undefined
  lastKey: Uint8Array
}

/** Returns a copy. `slice` of a Buffer would be a view that keeps the whole buffer in memory. */
const copyOf = (bytes: Uint8Array, start: number, end: number) => Uint8Array.from(bytes.subarray(start, end))

const noKey = new Uint8Array(0)

export class MembersRead {
  readonly found: Array<KnownMember> = []
  private current: Current | undefined

  /** Begins a member of `bytes` uncompressed bytes, which begins with an entry. */
  begin(digest: string, bytes: number, before: Counts): void {
    this.current = { digest, bytes, before, section: "", firstKey: undefined, lastKey: noKey }
  }

  /** Records a batch of the member. `section` returns undefined if the DBI is not merged. */
  note({ bytes, count, keyEnd, keyStart }: EntryBatch, section: () => string | undefined): void {
    const { current } = this
    if (current === undefined) return
    const name = section()
    if (name === undefined) return void (this.current = undefined)
    current.section = name
    current.firstKey ??= copyOf(bytes, keyStart[0]!, keyEnd[0]!)
    current.lastKey = copyOf(bytes, keyStart[count - 1]!, keyEnd[count - 1]!)
  }

  /** Ends the member. `isWhole` is true if its last entry was read completely. */
  end(isWhole: boolean, after: Counts): void {
    const { current } = this
    this.current = undefined
    if (current?.firstKey === undefined || !isWhole) return
    const { before, bytes, digest, firstKey, lastKey, section } = current
    if (before.otherFields !== after.otherFields || before.leftOut !== after.leftOut) return
    this.add({ digest, section, bytes, entries: after.entries - before.entries, firstKey, lastKey })
  }

  add(member: KnownMember): void {
    if (this.found.length < mostMembers) this.found.push(member)
  }
}
