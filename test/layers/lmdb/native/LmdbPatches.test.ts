/** The faults of LMDB 0.9.29 that patches/lmdb-0.9.29.patch corrects. Each of these fails on a build without it. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb } from "../../../../src/services/Lmdb.ts"
import { execute } from "../../../support/Command.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { emptyDataFile } from "../../../support/fixtures/EmptyDataFile.ts"
import { pathOf } from "../../../support/servers/RealServers.ts"

const dbi = DbiName.fromText("d")
const mapSize = 2 ** 25

type Entry = readonly [key: string, valueBytes: number]

/** In one transaction; then all of it is read back. */
const putAndRead = Effect.fnUntraced(function* (pageSize: number, entries: ReadonlyArray<Entry>) {
  const { info, read, write } = yield* Lmdb
  assert.strictEqual((yield* info).pageSize, pageSize)
  yield* write((transaction) =>
    Effect.sync(() => {
      transaction.create(dbi, 0)
      for (const [text, bytes] of entries) {
        const key = Buffer.from(text)
        transaction.put(dbi, key, 0, key.length, Buffer.alloc(bytes, text), 0, bytes, false)
      }
    })
  )
  const cursor = (yield* read).cursor(dbi)
  const found: Array<Entry> = []
  while (cursor.next()) {
    const text = Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)).toString()
    const value = cursor.value.subarray(cursor.valueStart, cursor.valueEnd)
    found.push([text, value.length])
    assert.isTrue(Buffer.alloc(value.length, text).equals(value), text)
  }
  const expected = Array.from(new Map(entries))
  assert.deepStrictEqual(
    found,
    expected.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  )
}, Effect.scoped)

const putAll = Effect.fnUntraced(function* (pageSize: number, entries: ReadonlyArray<Entry>) {
  const file = path.join(yield* directory, "lmdb")
  fs.writeFileSync(file, emptyDataFile(pageSize, mapSize))
  yield* Effect.provide(putAndRead(pageSize, entries), LmdbNative.layerWith(optionsOf(file, { create: false })))
}, Effect.scoped)

const name = (prefix: string, index: number) => prefix + index.toString(16).padStart(3, "0")

/** Bytes of a page that hold entries, and those that an entry takes of them. */
const roomOf = (pageSize: number) => pageSize - 16
const takes = (keyBytes: number, valueBytes: number) => 2 + 8 + 2 * Math.ceil((keyBytes + valueBytes) / 2)

/** So many small entries, as many large ones that fill the page, and one among these that is as large as 1/16 of it. */
const smallThenLarge = (pageSize: number, count: number): ReadonlyArray<Entry> => {
  const small = Array.from({ length: count }, (_, i): Entry => [name("a", i), 0])
  const left = roomOf(pageSize) - count * takes(4, 0)
  const bytes = 2 * Math.floor(left / count / 2) - takes(4, 0)
  const large = Array.from({ length: count }, (_, i): Entry => [name("b", i), bytes])
  return [...small, ...large, [`${name("b", count >> 1)}x`, Math.floor(roomOf(pageSize) / 16) - 18]]
}

/** Keys in random order; those that begin with "a" have small values, the others some of up to 1/8 of a page. */
const mixed = (pageSize: number, seed: number): ReadonlyArray<Entry> => {
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: 1500 }, (): Entry => {
    const key = random(4096)
    return random(2) === 0 ? [name("a", key), 0] : [name("b", key), random(pageSize >> 3)]
  })
}

describe("LMDB", () => {
  for (const pageSize of [4096, 8192, 16_384, 32_768]) {
    it.live(`splits pages of ${pageSize} bytes wherever what comes is put`, () =>
      Effect.gen(function* () {
        for (const count of [17, pageSize >> 8, (pageSize >> 8) + 1])
          yield* putAll(pageSize, smallThenLarge(pageSize, count))
        for (const seed of [1, 2, 3]) yield* putAll(pageSize, mixed(pageSize, seed))
      })
    )
  }
})

/** Source: lmdb.h. */
const badDbi = -30_780

layer(NodeServices.layer, { excludeTestServices: true })("LMDB beside another process", (it) => {
  it.effect("does not take a DBI that was dropped for an empty one, and leaves the locks to whoever opens next", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped({ prefix: "patches-" })}/lmdb`
      const script = pathOf("../processes/stale-dbi.process.ts")
      const { code, err, out } = yield* execute([process.execPath, "--no-warnings", script, file])
      assert.strictEqual(code, 0, err)
      assert.deepStrictEqual(JSON.parse(out), { put: badDbi })
      if (process.platform !== "linux") return
      // A mutex of glibc's that was destroyed has the kind -1. A process that waited for the closing one would have it.
      const lock = yield* fs.readFile(`${file}-lock`)
      const view = new DataView(lock.buffer, lock.byteOffset)
      for (const mutex of [8, 64]) assert.notStrictEqual(view.getInt32(mutex + 16, true), -1)
    })
  )
})
