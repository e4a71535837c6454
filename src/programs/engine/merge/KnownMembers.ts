/**
 * The members of snapshots of which it is known that they bring nothing: what was dumped from here is here, and what
 * was merged has won or lost. A merge skips them without decompressing, which is what makes a change among millions of
 * entries travel quickly.
 *
 * That holds for the content of one transaction, `through`, alone: what the application has written since may be older
 * than what a member holds, and then the member wins. So everything is forgotten when LMDB's last id is another one.
 * Merges of ours carry it on: they only ever put what wins, so what brought nothing before brings nothing after. A
 * sweep does not: its transaction is like one of the application.
 */

export interface KnownMember {
  /** Of the compressed bytes. */
  readonly digest: string
  /** The DBI, and all on which the meaning of its entries depends: `sectionOf`. */
  readonly section: string
  /** Uncompressed; whole entries. */
  readonly bytes: number
  readonly entries: number
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

/** By digest. */
export type KnownMembersNow = ReadonlyMap<string, KnownMember>

export const sectionOf = (
  formatVersion: number,
  { flags, name, transform }: { readonly name: string; readonly flags: bigint; readonly transform: string }
) => JSON.stringify([formatVersion, name, String(flags), transform])

/**
 * So many are kept in mind: those of some 8 GiB of entries, in some 5 MB of the heap. All beyond are read, and
 * compressed, each time.
 */
export const mostMembers = 2 ** 14

const none: KnownMembersNow = new Map()

/** The earlier ones stay when there is no room for all. */
const mapOf = (...lists: ReadonlyArray<Iterable<KnownMember>>): KnownMembersNow => {
  const members = new Map<string, KnownMember>()
  for (const list of lists) {
    for (const member of list) {
      if (members.size === mostMembers) return members
      if (!members.has(member.digest)) members.set(member.digest, member)
    }
  }
  return members
}

export class KnownMembers {
  #through = 0n
  #members: KnownMembersNow = none

  /** What is known in the view of transaction `id`. */
  at(id: bigint): KnownMembersNow {
    return id === this.#through ? this.#members : none
  }

  /** All members of a dump of transaction `id`. */
  dumped(id: bigint, members: Iterable<KnownMember>): void {
    if (id < this.#through) return
    this.#members = mapOf(members, this.at(id).values())
    this.#through = id
  }

  /**
   * A merge has ended that read in transaction `seen`, and `last` is its last one, or the same. `alone`: nobody else
   * has written in between; otherwise what it found may not hold any more.
   */
  merged(seen: bigint, last: bigint, alone: boolean, members: Iterable<KnownMember>): void {
    if (!alone || last < this.#through) return
    // Later than `seen` after a dump meanwhile: of a transaction of this merge, then.
    this.#members = mapOf(members, this.#through >= seen ? this.#members.values() : [])
    this.#through = last
  }
}
