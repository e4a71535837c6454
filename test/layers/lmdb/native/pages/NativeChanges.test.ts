/**
 * What changed is found by comparing pages: beside processes that write without a pause, for each page size, and in
 * damaged files.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is what is tested
import * as fs from "node:fs"
import * as DbiName from "../../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../../../../src/layers/lmdb/native/LmdbNative.ts"
import { readMeta } from "../../../../../src/layers/lmdb/native/DataFile.ts"
import type { NativeRead } from "../../../../../src/layers/lmdb/native/NativeRead.ts"
import { Lmdb, type ReadTransaction } from "../../../../../src/services/Lmdb.ts"
import { type Changes, changesBetween } from "../../../../contracts/lmdb-contract-changes.ts"
import { Choices } from "../../../../simulation/Choices.ts"
import * as EmptyDataFile from "../../../../support/EmptyDataFile.ts"
import * as LmdbWriter from "../../../../support/LmdbWriter.ts"
import { generationKey, kinds } from "../../../../support/LmdbWriter.ts"
import { clear } from "../../../../support/fakes/LmdbSubject.ts"
import { directory, optionsOf } from "../../../../support/fakes/LmdbNativeSubject.ts"
import { changesInFile, pageSize as damagedPageSize } from "./ChangesInFile.ts"
import { type Form, forms, formsOf } from "./StoredForms.ts"

/** By DBI: its flags, and the values of each key. */
type Content = ReadonlyMap<string, { readonly flags: number; readonly entries: ReadonlyMap<string, string> }>

const contentOf = (view: ReadTransaction): Content =>
  new Map(
    view.dbis.map(({ flags, name }) => {
      const entries = new Map<string, string>()
      const cursor = view.cursor(name)
      while (cursor.next()) {
        const key = Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)).toString("latin1")
        const value = Buffer.from(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)).toString("latin1")
        entries.set(key, `${entries.get(key) ?? ""}|${value}`)
      }
      return [DbiName.display(name), { flags, entries }] as const
    })
  )

const expectedOf = (before: Content, after: Content): Changes => {
  const changes: Record<string, ReadonlyArray<string>> = {}
  for (const [name, { entries, flags }] of after) {
    const earlier = before.get(name)
    const old = earlier?.entries ?? new Map<string, string>()
    const isOther = earlier !== undefined && earlier.flags !== flags
    const keys = [...new Set([...old.keys(), ...entries.keys()])].filter(
      (key) => isOther || old.get(key) !== entries.get(key)
    )
    if (keys.length > 0) changes[name] = keys.sort()
  }
  return changes
}

const sorted = (changes: Changes): Changes =>
  Object.fromEntries(Object.entries(changes).map(([name, keys]) => [name, [...keys].sort()]))

/** By DBI and key: how LMDB stores the values. */
type Stored = ReadonlyMap<string, ReadonlyMap<string, Form>>

const storedOf = (path: string, view: ReadTransaction): Stored => {
  const descriptor = fs.openSync(path, "r")
  try {
    const { pageSize } = readMeta(path)!
    return new Map(
      (view as NativeRead).records.map((record) => [
        DbiName.display(record.name),
        formsOf(descriptor, pageSize, record)
      ])
    )
  } finally {
    fs.closeSync(descriptor)
  }
}

const generation = generationKey.toString()

/** What has happened to a DBI between two states. */
const eventsOf = (before: Content, after: Content, name: string): ReadonlyArray<string> => {
  const [old, now] = [before.get(name), after.get(name)]
  if (old === undefined) return now === undefined ? [] : ["a new DBI"]
  if (now === undefined) return ["a dropped DBI"]
  if (old.flags !== now.flags) return ["a DBI recreated with other flags"]
  if (now.entries.size === 0) return old.entries.size === 0 ? [] : ["an emptied DBI"]
  return old.entries.size > 0 && old.entries.get(generation) !== now.entries.get(generation) ? ["a recreated DBI"] : []
}

/** Features that occur among the changes of every run. Each shared DBI is a feature, too, because each has other flags. */
const features: ReadonlyArray<string> = [
  ...Object.keys(kinds),
  ...forms,
  "a new DBI",
  "a dropped DBI",
  "an emptied DBI",
  "a recreated DBI",
  "a DBI recreated with other flags"
]

const roundsMin = 24
/** Features that are rare at one writer's speed have occurred long before that. */
const roundsMax = 400

/** Follows the writers, each time from the last view to a new one, with a view open at all times. */
const follow = Effect.fnUntraced(function* (path: string) {
  const { read } = yield* Lmdb
  const all = yield* Effect.scope
  let scope = yield* Scope.fork(all)
  let before = yield* Scope.provide(read, scope)
  let [content, stored] = [contentOf(before), storedOf(path, before)]
  const counts = new Map<string, number>()
  const count = (feature: string | undefined) =>
    feature !== undefined && counts.set(feature, (counts.get(feature) ?? 0) + 1)
  const isComplete = () => features.every((feature) => counts.has(feature))
  for (let round = 0; round < roundsMin || (round < roundsMax && !isComplete()); round++) {
    yield* Effect.sleep([0, 1, 5, 40][round % 4]!)
    const next = yield* Scope.fork(all)
    const after = yield* Scope.provide(read, next)
    const found = sorted(yield* changesBetween(before, after))
    const [now, storedNow] = [contentOf(after), storedOf(path, after)]
    assert.deepStrictEqual(found, expectedOf(content, now), `from transaction ${before.id} to ${after.id}`)
    if (after.id > before.id) count("moved")
    for (const [name, keys] of Object.entries(found)) {
      count(name)
      for (const key of keys) for (const each of [stored, storedNow]) count(each.get(name)?.get(key))
    }
    for (const name of new Set([...content.keys(), ...now.keys()])) eventsOf(content, now, name).forEach(count)
    yield* Scope.close(scope, Exit.void)
    ;[scope, before, content, stored] = [next, after, now, storedNow]
  }
  return counts
}, Effect.scoped)

const mapSize = 2 ** 30

/** True if a process can write to the file through its map. */
const writesThroughMap = (pid: number, path: string): boolean =>
  fs
    .readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .some((line) => line.endsWith(` ${path}`) && line.includes(" rw-s "))

/** Follows the writers of a file until an error, or until all features have occurred. */
const followIn = (path: string) =>
  Effect.provide(follow(path), LmdbNative.layerWith(optionsOf(path, { create: false })), { local: true })

const requireAll = (counts: ReadonlyMap<string, number>) =>
  assert.includeMembers([...counts.keys()], [...features], JSON.stringify([...counts]))

const beside = (writers: number, pageSize: number, useWritemap = false) =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = `${yield* directory}/lmdb`
      EmptyDataFile.write(path, pageSize, mapSize)
      const states = yield* Effect.forEach(Array.from({ length: writers }), (_, i) =>
        LmdbWriter.start({ path, mapSize, useWritemap, seed: 100 * pageSize + i })
      )
      const counts = yield* followIn(path)
      assert.deepStrictEqual(
        states.map(({ ended, pid }) => ({ ended, isWritemap: writesThroughMap(pid, path) })),
        states.map(() => ({ ended: false, isWritemap: useWritemap })),
        "the writers are still there"
      )
      assert.strictEqual(readMeta(path)!.pageSize, pageSize)
      assert.isAbove(counts.get("moved")!, 15)
      requireAll(counts)
    })
  )

describe("NativeChanges, beside other processes that write without a pause", () => {
  const patience = 120_000
  it.live("two writers", () => beside(2, 4_096), patience)
  it.live("four writers", () => beside(4, 4_096), patience)
  it.live("writers with MDB_WRITEMAP", () => beside(2, 4_096, true), patience)
  it.live("pages of 8 KiB", () => beside(2, 8_192), patience)
  it.live("three writers, pages of 16 KiB", () => beside(3, 16_384), patience)
  it.live("pages of 32 KiB, the largest that LMDB 0.9 has", () => beside(2, 32_768), patience)

  it.live(
    "a map that grows: a comparison ends with an error that says so, and the next environment follows in the new map",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = `${yield* directory}/lmdb`
          const mapSizeSmall = 2 ** 18
          EmptyDataFile.write(path, 4_096, mapSizeSmall)
          const start = (seed: number) => LmdbWriter.start({ path, mapSize, useWritemap: false, seed })
          const [error] = yield* Effect.all([Effect.flip(followIn(path)), start(1), start(2)], { concurrency: 3 })
          assert.strictEqual(error.reason._tag, "MapResized")
          assert.strictEqual(readMeta(path)!.mapSize, mapSize)
          requireAll(yield* followIn(path))
        })
      ),
    patience
  )
})

/** Damages a page somewhere: in its header, the offsets of its nodes, or anywhere. */
const damage = (bytes: Buffer, pageSize: number, choices: Choices): void => {
  const pages = bytes.length / pageSize
  const page = choices.below(pages) * pageSize
  switch (choices.below(5)) {
    case 0:
      return void bytes.copy(bytes, page, choices.below(pages) * pageSize, choices.below(pages) * pageSize)
    case 1:
      return void bytes.writeUInt16LE(choices.below(65_536), page + choices.of([8, 10, 12, 14]))
    case 2:
      return void bytes.writeUInt16LE(choices.below(65_536), page + 16 + 2 * choices.below(20))
    case 3:
      // The number of a child page, the size of a value, or flags.
      return void bytes.writeUInt32LE(
        choices.of([0, 1, 2, choices.below(pages), 0xffff_ffff]),
        page + choices.below(pageSize / 4 - 1) * 4
      )
    default:
      return void bytes.fill(choices.below(256), page + choices.below(pageSize), page + pageSize)
  }
}

/** More keys than there are entries, several times over. */
const keysMax = 1e6

const outcomeOf = (file: string, before: ReadTransaction, after: ReadTransaction): "keys" | "unknown" => {
  let keys = 0
  const problem = changesInFile(file, before, after, {
    dbi: () => true,
    key: (key, start, end) => ++keys < keysMax && start <= end && end <= key.length
  })
  if (problem !== undefined) return "unknown"
  assert.isBelow(keys, keysMax)
  return "keys"
}

describe("NativeChanges, of a damaged file", () => {
  it.live("ends with an error that says so, or with keys, whatever the pages hold", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = `${yield* directory}/lmdb`
        EmptyDataFile.write(path, damagedPageSize, mapSize)
        const written = yield* LmdbWriter.run({ path, mapSize, useWritemap: false, seed: 3, transactions: 1_500 })
        assert.strictEqual(written, 0)
        yield* Effect.provide(
          Effect.scoped(
            Effect.gen(function* () {
              const { read, write } = yield* Lmdb
              const before = yield* read
              yield* write((transaction) =>
                Effect.sync(() => {
                  for (const { name } of transaction.dbis()) if (name.includes("duplicates")) clear(transaction, name)
                  for (let i = 0; i < 2_000; i++) {
                    const key = Buffer.from(`k${i}`)
                    transaction.put(DbiName.fromText("plain"), key, 0, key.length, key, 0, key.length, false)
                  }
                })
              )
              const after = yield* read
              const original = fs.readFileSync(path)
              const copy = `${path}-damaged`
              const outcomes = { keys: 0, unknown: 0 }
              for (let seed = 0; seed < 200; seed++) {
                const choices = new Choices(seed)
                const bytes = Buffer.from(original)
                for (let times = 0; times < 1 + (seed % 8); times++) damage(bytes, damagedPageSize, choices)
                fs.writeFileSync(copy, seed % 20 === 0 ? bytes.subarray(0, choices.below(bytes.length)) : bytes)
                outcomes[outcomeOf(copy, before, after)]++
              }
              assert.isAbove(outcomes.unknown, 50)
              assert.isAbove(outcomes.keys, 50)
            })
          ),
          LmdbNative.layerWith(optionsOf(path, { create: false }))
        )
      })
    )
  )
})
