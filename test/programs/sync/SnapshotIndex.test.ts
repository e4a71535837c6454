import { describe, expect, it } from "@effect/vitest"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { SnapshotIndex } from "../../../src/programs/sync/SnapshotIndex.ts"

const minute = 60_000_000_000n
const start = 1_700_000_000_000_000_000n
const nameOf = (timestampNano: bigint) =>
  SnapshotName.format({ database: "main", instance: "a", timestampNano, format: "gzip" })
const objectsOf = (...times: Array<bigint>) => times.map((time) => ({ name: nameOf(time), size: 1, etag: "e" }))

const written = (...times: Array<bigint>): SnapshotIndex => {
  const index = new SnapshotIndex("main", "a")
  index.update([])
  for (const time of times) index.markWritten(nameOf(time), time)
  return index
}

describe("Names that this process wrote", () => {
  it("are forgotten when they have been gone from the bucket for long: years of snapshots are not kept in memory", () => {
    const index = written(start, start + 61n * minute)
    index.update(objectsOf(start + 61n * minute))
    index.update(objectsOf(start, start + 61n * minute))
    expect(index.next("a")?.name.text).toBe(nameOf(start))
  })

  it("are known while a listing may lag behind, and for as long as they are listed", () => {
    const index = written(start, start + 5n * minute)
    index.update(objectsOf(start + 5n * minute))
    index.update(objectsOf(start, start + 5n * minute))
    expect(index.next("a")).toBeUndefined()
    const listed = written(start, start + 1000n * minute)
    listed.update(objectsOf(start, start + 1000n * minute))
    expect(listed.next("a")).toBeUndefined()
  })
})

describe("Our own snapshot that is next", () => {
  it("is never older than the one merged at the start: when a delete fails, an old one stays in the bucket without those behind it", () => {
    const index = new SnapshotIndex("main", "a")
    index.update(objectsOf(start, start + minute))
    expect(index.next("a")?.name.text).toBe(nameOf(start + minute))
    index.markMerged(index.next("a")!)
    index.markWritten(nameOf(start + 2n * minute), start + 2n * minute)
    index.update(objectsOf(start, start + 2n * minute))
    expect(index.next("a")).toBeUndefined()
    // A foreign snapshot under our instance name.
    index.update(objectsOf(start, start + 2n * minute, start + 3n * minute))
    expect(index.next("a")?.name.text).toBe(nameOf(start + 3n * minute))
  })
})

describe("A snapshot of our own name from 2554 or later", () => {
  const far = 18_429_292_800_000_000_000n

  it("does not count as our newest, and hides what is older only while it is listed", () => {
    const index = new SnapshotIndex("main", "a")
    index.update(objectsOf(start, far))
    expect(index.newestOwn).toBe(start)
    expect(index.unsurpassable?.name.text).toBe("main__a__25540101-000000-000000000__GX.pb.gz")
    index.markMerged(index.next("a")!)
    expect(index.ownIsMerged).toBe(true)
    expect(index.next("a")).toBeUndefined()
    index.update(objectsOf(start))
    expect(index.unsurpassable).toBeUndefined()
    expect(index.next("a")?.name.text).toBe(nameOf(start))
  })

  it("is one from the first nanosecond of that year on", () => {
    const index = new SnapshotIndex("main", "a")
    index.update(objectsOf(far - 1n))
    expect(index.newestOwn).toBe(far - 1n)
    expect(index.unsurpassable).toBeUndefined()
  })
})

const other = (timestampNano: bigint) => ({
  name: SnapshotName.format({ database: "main", instance: "b", timestampNano, format: "gzip" }),
  size: 1,
  etag: "e"
})

describe("The snapshot of another instance that is next", () => {
  const [first, second, third] = [other(start), other(start + minute), other(start + 2n * minute)]
  const listing = (...objects: ReadonlyArray<typeof first>) => {
    const index = new SnapshotIndex("main", "a")
    index.update(objects)
    return index
  }

  it("is the newest, once", () => {
    const index = listing(first, second)
    expect(index.next("b")?.object).toBe(second)
    index.markMerged(index.next("b")!)
    expect(index.next("b")).toBeUndefined()
  })

  it("is an older one when what was merged is gone: that may have had a future in its name", () => {
    const index = listing(third)
    index.markMerged(index.next("b")!)
    index.update([first])
    expect(index.next("b")?.object).toBe(first)
    index.markMerged(index.next("b")!)
    expect(index.next("b")).toBeUndefined()
    index.update([first, second])
    expect(index.next("b")?.object).toBe(second)
  })

  it("is none when those left were merged, in whatever order, nor when the newest comes back", () => {
    const index = listing(first)
    index.markMerged(index.next("b")!)
    index.update([first, second])
    index.markMerged(index.next("b")!)
    index.update([first])
    expect(index.next("b")).toBeUndefined()
    index.update([first, second])
    expect(index.next("b")).toBeUndefined()
  })

  it("is one that was merged long ago and was gone since: years of names are not kept in memory", () => {
    const index = listing(first)
    index.markMerged(index.next("b")!)
    index.update([second])
    index.markMerged(index.next("b")!)
    index.update([second])
    index.update([first])
    expect(index.next("b")?.object).toBe(first)
  })

  it("is the next-newest when the newest is quarantined, but not when that was merged", () => {
    const index = listing(first, second)
    index.quarantine(index.next("b")!)
    expect(index.next("b")?.object).toBe(first)
    index.markMerged(index.next("b")!)
    expect(index.next("b")).toBeUndefined()
  })
})

describe("A listing that is the very array of the last one", () => {
  const [snapshot, replaced] = [other(start), { ...other(start), etag: "replaced" }]

  it("is compared again with what was quarantined since: the snapshot may have been replaced while it was loaded", () => {
    const index = new SnapshotIndex("main", "a")
    index.update([snapshot])
    const loaded = index.next("b")!
    const listing = [replaced]
    index.update(listing)
    index.quarantine(loaded)
    expect(index.next("b")).toBeUndefined()
    index.update(listing)
    expect(index.next("b")?.object).toBe(replaced)
  })

  it("brings back what a load did not find, as any other does", () => {
    const index = new SnapshotIndex("main", "a")
    const listing = [snapshot]
    index.update(listing)
    index.vanished(index.next("b")!)
    expect(index.next("b")).toBeUndefined()
    index.update(listing)
    expect(index.next("b")?.object).toBe(snapshot)
  })

  it("costs nothing", () => {
    const index = new SnapshotIndex("main", "a")
    const listing = [snapshot]
    index.update(listing)
    let reads = 0
    const watched = new Proxy(listing, { get: (target, key) => (reads++, Reflect.get(target, key)) })
    index.update(watched)
    expect(reads).toBeGreaterThan(0)
    reads = 0
    index.update(watched)
    expect(reads).toBe(0)
  })
})

const day = 1_440n * minute
const named = (instance: string, timestampNano: bigint, parts: { fromNano?: bigint; readsDeltas?: boolean } = {}) => ({
  name: SnapshotName.format({ database: "main", instance, timestampNano, format: "gzip", ...parts }),
  size: 1,
  etag: "e"
})
const hasOriginals = (now: bigint, ...objects: ReadonlyArray<{ name: string; size: number; etag: string }>) => {
  const index = new SnapshotIndex("main", "a")
  index.update(objects)
  return index.hasOriginals(now)
}

describe("Instances that do not read deltas", () => {
  it("are those whose newest snapshot does not say that they do", () => {
    expect(hasOriginals(start)).toBe(false)
    expect(hasOriginals(start, named("b", start))).toBe(true)
    expect(hasOriginals(start, named("b", start, { readsDeltas: true }))).toBe(false)
    // Replaced by ours, and the other way round.
    expect(hasOriginals(start, named("b", start - 1n), named("b", start, { readsDeltas: true }))).toBe(false)
    expect(hasOriginals(start, named("b", start - 1n, { readsDeltas: true }), named("b", start))).toBe(true)
    expect(hasOriginals(start, named("b", start, { readsDeltas: true }), named("c", start))).toBe(true)
  })

  it("do not count when they have been silent for 7 days, and this instance never does", () => {
    expect(hasOriginals(start, named("a", start))).toBe(false)
    expect(hasOriginals(start + 7n * day - 1n, named("b", start))).toBe(true)
    expect(hasOriginals(start + 7n * day, named("b", start))).toBe(false)
    // A clock that is ahead.
    expect(hasOriginals(start, named("b", start + 8n * day))).toBe(true)
  })
})
