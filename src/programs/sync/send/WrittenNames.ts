/**
 * The names of the objects that this process has written or is writing. They are not merged. Plain state of one
 * database.
 */

/**
 * Maximum time in nanoseconds after which a store that was given up may still be carried out, and by which a listing
 * may lag behind.
 */
const lateness = 3_600_000_000_000n

export class WrittenNames {
  /** The names, with their times in nanoseconds. */
  private readonly names = new Map<string, bigint>()

  add(name: string, timestampNano: bigint): void {
    this.names.set(name, timestampNano)
  }

  has(name: string): boolean {
    return this.names.has(name)
  }

  /** Forgets names that are not listed, unless they may still appear, so that memory does not grow over the years. */
  keepOnly(isListed: (name: string) => boolean, newestOwnNano: bigint): void {
    // The names are in the order of writing, which is that of their times. Newer ones may not be listed yet.
    for (const [name, timestampNano] of this.names) {
      if (newestOwnNano - timestampNano < lateness) break
      if (!isListed(name)) this.names.delete(name)
    }
  }
}
