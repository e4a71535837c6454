/** A dump takes what has not changed from the last one, as it was compressed then: and is what it would be without. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as zlib from "node:zlib"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database, type DumpResult } from "../../../../src/services/Database.ts"
import { Spool, writtenBytes } from "../../../../src/services/Spool.ts"
import { over, putRaw } from "../../../support/fixtures/Environments.ts"
import { type Line, rawDbis } from "../../../support/fixtures/Snapshots.ts"

/** Some five members of 512 KiB. */
const lines = (value: string): ReadonlyArray<Line> =>
  Array.from({ length: 250 }, (_, i): Line => [`key-${String(i).padStart(4, "0")}`, 1, `${value}${i}`.repeat(2_000)])

const request = { format: "gzip", instanceID: "a", hostname: "h", newestKnown: 0n } as const

const dumpInto = Effect.fnUntraced(function* (last?: DumpResult) {
  const { open, read } = yield* Spool
  const result = yield* (yield* Database).dump({ ...request, place: yield* open, ...(last !== undefined && { last }) })
  return { result, object: Buffer.concat(yield* Stream.runCollect(read(result.spooled))) }
})

/** Without the head of the snapshot, which has the time. */
const content = (object: Buffer) => zlib.gunzipSync(object).subarray(60)

describe("Dump, with the last one at hand", () => {
  it.live("compresses what has changed, and takes the rest from there, DBI heads in between or not", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment()
    return Effect.gen(function* () {
      yield* application.write(putRaw(rawDbis({ a: lines("x"), b: [["k", 1, "v"]], c: lines("y"), empty: [] })))
      const first = yield* dumpInto()
      assert.strictEqual(first.result.reusedSize, 0)
      const again = yield* dumpInto(first.result)
      // All but heads.
      assert.isAbove(again.result.reusedSize, again.result.uncompressedSize - 500)
      assert.isTrue(content(again.object).equals(content(first.object)))

      yield* application.write(putRaw(rawDbis({ a: [["key-0100", 2, "changed"]], b: [["l", 2, "new"]] })))
      const changed = yield* dumpInto(again.result)
      const fresh = yield* dumpInto()
      assert.strictEqual(fresh.result.reusedSize, 0)
      assert.isTrue(content(changed.object).equals(content(fresh.object)))
      assert.isAbove(changed.result.reusedSize, changed.result.uncompressedSize / 2)
      assert.isBelow(changed.result.reusedSize, changed.result.uncompressedSize - 1_000)
    }).pipe(Effect.scoped, Effect.provide(over(layer), { local: true }))
  })

  it.live("compresses again what is not as it was in the spool", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment()
    return Effect.gen(function* () {
      yield* application.write(putRaw(rawDbis({ a: lines("x") })))
      const first = yield* dumpInto()
      const { memory } = first.result.spooled
      new Uint8Array(memory[0]!)[1_000]! ^= 1
      const again = yield* dumpInto(first.result)
      assert.isTrue(content(again.object).equals(content(first.object)))
      assert.isAbove(again.result.reusedSize, 0)
      assert.isBelow(again.result.reusedSize, again.result.uncompressedSize - 10_000)
    }).pipe(Effect.scoped, Effect.provide(over(layer), { local: true }))
  })

  it.live("writes what has changed behind the rest, until too much of the place is what nobody reads any more", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment()
    return Effect.gen(function* () {
      yield* application.write(putRaw(rawDbis({ a: lines("x") })))
      let last = yield* dumpInto()
      const { size } = last.result.spooled
      let [revisions, places] = [0, 1]
      for (let round = 2; round < 20; round++) {
        // Another key each time, so that other members change.
        yield* application.write(
          putRaw(rawDbis({ a: [[`key-${String(round * 10).padStart(4, "0")}`, round, "changed"]] }))
        )
        const wasWorn = writtenBytes(last.result.spooled) > 1.25 * last.result.spooled.size
        const next = yield* dumpInto(last.result)
        assert.isAbove(next.result.reusedSize, 500_000)
        assert.strictEqual(writtenBytes(next.result.spooled) === next.result.spooled.size, wasWorn)
        assert.isBelow(writtenBytes(next.result.spooled), 2.3 * size)
        if (wasWorn) places++
        else revisions++
        const fresh = yield* Effect.provide(dumpInto(), over(layer), { local: true })
        assert.isTrue(content(next.object).equals(content(fresh.object)))
        last = next
      }
      assert.isAbove(revisions, 5)
      assert.isAbove(places, 2)
    }).pipe(Effect.scoped, Effect.provide(over(layer), { local: true }))
  })

  it.live("takes nothing from another dump than the last one", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment()
    return Effect.gen(function* () {
      yield* application.write(putRaw(rawDbis({ a: lines("x") })))
      const first = yield* dumpInto()
      yield* dumpInto()
      const third = yield* dumpInto(first.result)
      assert.strictEqual(third.result.reusedSize, 0)
      assert.isTrue(content(third.object).equals(content(first.object)))
    }).pipe(Effect.scoped, Effect.provide(over(layer), { local: true }))
  })
})
