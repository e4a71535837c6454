/** The names that this process has written, or is writing: their objects are not merged. Plain state of one database. */

/**
 * Nanoseconds: a store that was given up may still be carried out, and a listing may lag behind; no longer than that.
 */
const lateness = 3_600_000_000_000n

export class WrittenNames {
  /** With their times in nanoseconds. */
  private readonly names = new Map<string, bigint>()

  add(name: string, timestampNano: bigint): void {
    this.names.set(name, timestampNano)
  }

  has(name: string): boolean {
    return this.names.has(name)
  }

  /** Forgets names that are not listed, unless they may be listed yet: years of snapshots are not kept in memory. */
  keepOnly(isListed: (name: string) => boolean, newestOwnNano: bigint): void {
    // In the order of writing, which is that of their times: younger ones may not be listed yet.
    for (const [name, timestampNano] of this.names) {
      if (newestOwnNano - timestampNano < lateness) break
      if (!isListed(name)) this.names.delete(name)
    }
  }
}
