/**
 * Members of snapshots that are known to contain nothing new, because they were dumped from this LMDB or merged into
 * it. A merge skips them without decompressing them, so that a change among millions of entries is merged quickly.
 *
 * This knowledge is valid only for the content of one transaction (`through`): what the application writes later may be
 * older than the entries of a member, which then win. All members are therefore forgotten when LMDB's last id is
 * another one. Our own merges keep the knowledge valid, because they only put winners. A sweep does not, and counts as
 * a transaction of the application.
 */

export interface KnownMember {
  /** Digest of the compressed bytes. */
  readonly digest: string
  /** The DBI, and everything else that the meaning of its entries depends on, from `sectionOf`. */
  readonly section: string
  /** Number of uncompressed bytes, which are whole entries. */
  readonly bytes: number
  readonly entries: number
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

/** Known members by digest. */
export type KnownMembersNow = ReadonlyMap<string, KnownMember>

export const sectionOf = (
  formatVersion: number,
  { flags, name, transform }: { readonly name: string; readonly flags: bigint; readonly transform: string }
) => JSON.stringify([formatVersion, name, String(flags), transform])

/**
 * Maximum number of known members: enough for 8 GiB of entries, in 5 MB of heap. Further ones are read and compressed
 * each time.
 */
export const mostMembers = 2 ** 14

const none: KnownMembersNow = new Map()

/** Returns the members by digest. If there is no room for all, the earlier ones are kept. */
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

  /** Returns the members that are known in the view of transaction `id`. */
  at(id: bigint): KnownMembersNow {
    return id === this.#through ? this.#members : none
  }

  /** Records all members of a dump of transaction `id`. */
  dumped(id: bigint, members: Iterable<KnownMember>): void {
    if (id < this.#through) return
    this.#members = mapOf(members, this.at(id).values())
    this.#through = id
  }

  /**
   * Records a merge that has read in transaction `seen` and whose last transaction is `last`, which may be the same.
   * `alone` is true if nothing else was written in between; otherwise, its findings may be outdated.
   */
  merged(seen: bigint, last: bigint, alone: boolean, members: Iterable<KnownMember>): void {
    if (!alone || last < this.#through) return
    // If it is later than `seen`, a dump has recorded a transaction of this merge in the meantime.
    this.#members = mapOf(members, this.#through >= seen ? this.#members.values() : [])
    this.#through = last
  }
}
