/**
 * Finds the members of a snapshot, while it is read, that contain only entries of one DBI which were all merged. Those
 * bring nothing new from then on.
 */
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import { type KnownMember, mostMembers } from "./KnownMembers.ts"

/** Of the snapshot, so far. */
export interface Counts {
  readonly entries: number
  /** Fields that are no entries: such a member says something of its DBI or of the snapshot, or belongs to two. */
  readonly otherFields: number
  /** Tombstones that were left out because of the cut-off: an older entry may come yet, and then they win. */
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

/** A copy: of a Buffer, `slice` would be a view that keeps all of it. */
const copyOf = (bytes: Uint8Array, start: number, end: number) => Uint8Array.from(bytes.subarray(start, end))

const noKey = new Uint8Array(0)

export class MembersRead {
  readonly found: Array<KnownMember> = []
  private current: Current | undefined

  /** A member of `bytes` uncompressed bytes comes, which begins with an entry. */
  begin(digest: string, bytes: number, before: Counts): void {
    this.current = { digest, bytes, before, section: "", firstKey: undefined, lastKey: noKey }
  }

  /** A batch of it. `section`: undefined where its DBI is not merged. */
  note({ bytes, count, keyEnd, keyStart }: EntryBatch, section: () => string | undefined): void {
    const { current } = this
    if (current === undefined) return
    const name = section()
    if (name === undefined) return void (this.current = undefined)
    current.section = name
    current.firstKey ??= copyOf(bytes, keyStart[0]!, keyEnd[0]!)
    current.lastKey = copyOf(bytes, keyStart[count - 1]!, keyEnd[count - 1]!)
  }

  /** It has been read. `isWhole`: its last entry, too. */
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
