/**
 * Members of snapshots that are known to bring nothing new: those that were dumped from here, and those that were
 * merged. A merge skips them without decompressing, so that a change among millions of entries is merged quickly.
 *
 * This knowledge is valid for the content of one transaction (`through`) only: what the application writes later may be
 * older than the entries of a member, which then win. So everything is forgotten when LMDB's last id is another one.
 * Our own merges keep it valid, since they only put what wins. A sweep does not: it counts as a transaction of the
 * application.
 */

export interface KnownMember {
  /** Digest of the compressed bytes. */
  readonly digest: string
  /** The DBI, and everything that the meaning of its entries depends on, from `sectionOf`. */
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
   * Records a merge that read in transaction `seen` and wrote in `last`, its last one, or the same. `alone`: nobody
   * else has written in between; otherwise its findings may be outdated.
   */
  merged(seen: bigint, last: bigint, alone: boolean, members: Iterable<KnownMember>): void {
    if (!alone || last < this.#through) return
    // Later than `seen` after a dump meanwhile: of a transaction of this merge, then.
    this.#members = mapOf(members, this.#through >= seen ? this.#members.values() : [])
    this.#through = last
  }
}
