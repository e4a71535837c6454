/** What tasks on LMDBs report to the progress: the work, and at its end exactly its total. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../../src/domain/lmdb/NativeHeader.ts"
import { formatDomainKey } from "../../../src/domain/lmdb/PdnsDomainKey.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as FixDuplicateDomains from "../../../src/programs/tasks/FixDuplicateDomains.ts"
import * as LmdbDump from "../../../src/programs/tasks/LmdbDump.ts"
import * as LmdbStats from "../../../src/programs/tasks/LmdbStats.ts"
import * as MigrateTimestamps from "../../../src/programs/tasks/MigrateTimestamps.ts"
import type { Lmdb } from "../../../src/services/Lmdb.ts"
import { Progress, type Work } from "../../../src/services/Progress.ts"
import { nativeOptions } from "../../support/fixtures/Environments.ts"

const target = { database: "main", lmdb: nativeOptions("/memory").lmdb, isNative: true }

/** More than the tasks walk between two looks at the clock. */
const many = 1_300

const nativeValue = (nanos: number, content: Uint8Array = new Uint8Array(0)) => {
  const header = new Uint8Array(NativeHeader.size)
  NativeHeader.writeHeader(header, 0, 0, nanos, 0, 1, false, 0)
  return Buffer.concat([header, content])
}

const numbered = (count: number, nanos: number) =>
  Array.from({ length: count }, (_, i) => [Buffer.from(String(i).padStart(8, "0")), nativeValue(nanos)] as const)

const zones = (count: number) =>
  Array.from({ length: count }, (_, i) => {
    const name = `com${"\0"}zone${String(i).padStart(6, "0")}${"\0"}`
    return [Buffer.from(formatDomainKey({ name, id: i + 1 })), nativeValue(5)] as const
  })

type Entries = ReadonlyArray<readonly [key: Uint8Array, value: Uint8Array]>

/** Runs a task over these DBIs. Returns each work with the amount that was reported. */
const worksOf = Effect.fnUntraced(function* <A, E>(
  dbis: Readonly<Record<string, Entries>>,
  task: (lmdb: Layer.Layer<Lmdb>) => Effect.Effect<A, E, Lmdb | Progress>
) {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  yield* application.write((transaction) => {
    for (const [name, entries] of Object.entries(dbis)) {
      const dbi = DbiName.fromText(name)
      transaction.create(dbi, 0)
      for (const [key, value] of entries) transaction.put(dbi, key, 0, key.length, value, 0, value.length, false)
    }
  })
  const works: Array<Work & { done: number }> = []
  const progress = Layer.succeed(Progress, {
    measure: (work) =>
      Effect.sync(() => {
        const measured = { ...work, done: 0 }
        works.push(measured)
        return { add: (amount: number) => void (measured.done += amount) }
      })
  })
  yield* Effect.provide(task(layer), Layer.merge(layer, progress))
  return works
})

const work = (label: string, total: number) => ({ label, unit: "entries" as const, total, done: total })

const all = { records: numbered(many, 5), users: numbered(3, 5), _sync_old: numbered(7, 5) }

describe("the progress of", () => {
  it.effect("stats: the entries whose headers are read", () =>
    Effect.gen(function* () {
      const task = { _tag: "Stats", targets: [target], format: "json" } as const
      const works = yield* worksOf(all, (lmdb) => LmdbStats.run(task, () => lmdb))
      assert.deepStrictEqual(works, [work("Counting main", many + 3)])
    })
  )

  it.effect("dump: the entries that are printed", () =>
    Effect.gen(function* () {
      for (const [hidesPrivate, total] of [
        [true, many + 3],
        [false, many + 10]
      ] as const) {
        const task = { _tag: "Dump", target, format: "text", hidesPrivate } as const
        const works = yield* worksOf(all, () => LmdbDump.run(task, () => Effect.void))
        assert.deepStrictEqual(works, [work("Dumping main", total)])
      }
    })
  )

  it.effect("migrate-timestamps: the entries of the destination, and those of the source for its tombstones", () =>
    Effect.gen(function* () {
      const dbis = { src: numbered(many, 9), dst: numbered(many + 50, 5), other: numbered(7, 5) }
      for (const [addTombstones, total] of [
        [false, many + 50],
        [true, 2 * many + 50]
      ] as const) {
        const task = { src: "src", dst: "dst", addTombstones, ignoreMissingSource: false }
        const works = yield* worksOf(dbis, () => MigrateTimestamps.run({ _tag: "MigrateTimestamps", target, ...task }))
        assert.deepStrictEqual(works, [work("Migrating main", total)])
      }
    })
  )

  it.effect("pdns-v5-fix-duplicate-domains: the zones, whether they are renamed or not", () =>
    Effect.gen(function* () {
      const schema = [[Buffer.from("schemaversion"), nativeValue(5, Uint8Array.of(0, 0, 0, 5))]] as const
      for (const rename of [false, true]) {
        const task = { _tag: "FixDuplicateDomains", target, rename } as const
        const works = yield* worksOf({ pdns: schema, domains_v5_0: zones(many) }, () => FixDuplicateDomains.run(task))
        assert.deepStrictEqual(works, [work("Reading the zones of main", many)])
      }
    })
  )
})
