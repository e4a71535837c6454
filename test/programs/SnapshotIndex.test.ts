import { describe, expect, it } from "@effect/vitest"
import * as SnapshotName from "../../src/domain/SnapshotName.ts"
import { SnapshotIndex } from "../../src/programs/SnapshotIndex.ts"

const minute = 60_000_000_000n
const start = 1_700_000_000_000_000_000n
const nameOf = (timestampNano: bigint) => SnapshotName.format({ database: "main", instance: "a", timestampNano, extension: "pb.gz" })
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
