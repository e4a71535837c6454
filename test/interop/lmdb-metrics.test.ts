/** The metrics and the log of LMDB's statistics, of a daemon in a process beside an application in another. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import golden from "../golden/metrics.json" with { type: "json" }
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import * as Daemon from "../support/Daemon.ts"
import { type Exposition, metricsOf, valueIn } from "../support/HttpPages.ts"
import { above, is, startSide } from "../support/MeteredSide.ts"

const main = { lmdb: "main" }
const records = { ...main, db: "records" }

const makeStorage = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return Daemon.folderBucket(yield* fs.makeTempDirectoryScoped({ prefix: "metrics-bucket-" }))
})

/** Of the metrics of Lightning Stream, those that are missing, of another type, or with other labels. */
const missing = ({ samples, types }: Exposition) =>
  golden.metrics.filter(({ labels, name, type }) => {
    const found = samples.find((sample) => sample.name === name || sample.name === `${name}_bucket`)
    const seen = Object.keys(found?.labels ?? {}).filter((label) => label !== "le")
    return types.get(name) !== type || JSON.stringify(seen.toSorted()) !== JSON.stringify(labels.toSorted())
  })

describe("metrics of the LMDB", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("follow what the application does to it", () =>
      Effect.gen(function* () {
        const a = yield* startSide("a", yield* makeStorage)
        yield* a.until("lmdb_stat_entries", records, is(1))
        const before = yield* a.metrics
        assert.strictEqual(valueIn(before, "lmdb_mapsize_bytes", main), 2 ** 20)
        assert.strictEqual(valueIn(before, "lmdb_env_readers_max", main), 126)
        assert.isAbove(valueIn(before, "lmdb_env_readers_current", main)!, 0)
        assert.strictEqual(valueIn(before, "lmdb_stat_pages", { ...records, pagetype: "leaf" }), 1)
        assert.strictEqual(valueIn(before, "lmdb_stat_pages", { ...records, pagetype: "overflow" }), 0)
        assert.strictEqual(valueIn(before, "lmdb_stat_depth", records), 1)
        assert.strictEqual(valueIn(before, "lmdb_db_usage_bytes", records), 4096)
        assert.strictEqual(valueIn(before, "lmdb_total_usage_bytes", main), 4096)
        assert.strictEqual(valueIn(before, "lmdb_total_usage_fraction", main), 4096 / 2 ** 20)
        const readers = valueIn(before, "lmdb_env_readers_current", main)!
        const id = valueIn(before, "lmdb_env_last_tnx_id", main)!

        for (let i = 0; i < 40; i++) yield* a.application.put(`key ${i}`, Buffer.alloc(200), 2n)
        yield* a.application.put("large", Buffer.alloc(10_000), 2n)
        // Another process that reads, with a slot of its own.
        const other = yield* LmdbApplication.make({ path: a.path, mapSize: 2 ** 20 })
        yield* other.send({ do: "view" })
        const { exposition: after } = yield* a.until("lmdb_stat_entries", records, is(42))
        assert.isAbove(valueIn(after, "lmdb_stat_pages", { ...records, pagetype: "leaf" })!, 1)
        assert.isAbove(valueIn(after, "lmdb_stat_pages", { ...records, pagetype: "branch" })!, 0)
        assert.strictEqual(valueIn(after, "lmdb_stat_pages", { ...records, pagetype: "overflow" }), 3)
        assert.strictEqual(valueIn(after, "lmdb_stat_depth", records), 2)
        assert.isAtLeast(valueIn(after, "lmdb_env_last_tnx_id", main)!, id + 41)
        assert.isAbove(valueIn(after, "lmdb_filesize_bytes", main)!, valueIn(before, "lmdb_filesize_bytes", main)!)
        yield* a.until("lmdb_env_readers_current", main, above(readers))
      })
    )

    it.effect("have all names, types and labels of Lightning Stream, and the file's mapped memory", () =>
      Effect.gen(function* () {
        const storage = yield* makeStorage
        const a = yield* startSide("a", storage)
        yield* a.until("lightningstream_ready", main, is(1))
        yield* startSide("b", storage)
        yield* a.until("lightningstream_merges_total", { ...main, result: "merged" }, above(0))
        const { exposition } = yield* a.until("lmdb_smaps_bytes", { ...main, smap: "rss" }, above(0))
        assert.deepStrictEqual(missing(exposition), [])
        const sample = exposition.samples.find(({ name }) => name === "lmdb_smaps_bytes")!
        assert.match(sample.labels["database_path"]!, /^\/.*\/main\.lmdb$/)
        assert.isAtLeast(valueIn(exposition, "lmdb_smaps_bytes", { smap: "size" })!, 2 ** 20)
      })
    )

    it.effect("are logged every lmdb_log_stats_interval; without mapped memory where that is off", () =>
      Effect.gen(function* () {
        const storage = yield* makeStorage
        const a = yield* startSide("a", storage, { lmdb_log_stats_interval: "200ms" })
        const info = yield* a.daemon.logged("LMDB info")
        assert.strictEqual(info["map_size"], 2 ** 20)
        assert.strictEqual(info["max_readers"], 126)
        const stat = yield* a.daemon.logged("LMDB db stat")
        assert.deepInclude(stat, {
          DB: "records",
          depth: 1,
          branch_pages: 0,
          overflow_pages: 0,
          psize: 4096,
          db: "main"
        })
        assert.isAbove(Number((yield* a.daemon.logged("LMDB memory"))["rss"]), 0)
        yield* a.daemon.logged("LMDB info", undefined, a.daemon.log.length)

        const off = { lmdb_log_stats_interval: "100ms", lmdb_scrape_smaps: false }
        const b = yield* startSide("b", storage, off)
        yield* b.daemon.logged("LMDB db stat")
        yield* b.daemon.logged("LMDB info", undefined, b.daemon.log.length)
        assert.notInclude(b.daemon.text(), "LMDB memory")
        const { exposition } = yield* b.until("lmdb_mapsize_bytes", main, above(0))
        assert.isUndefined(valueIn(exposition, "lmdb_smaps_bytes"))
      })
    )

    it.effect(
      "grow old while the application holds the write lock that a merge waits for, and pages come all the same",
      () =>
        Effect.gen(function* () {
          const storage = yield* makeStorage
          const a = yield* startSide("a", storage)
          yield* a.until("lmdb_stat_entries", records, is(1))
          yield* a.application.send({ do: "hold" })
          const b = yield* startSide("b", storage)
          yield* a.until("lightningstream_lmdb_statistics_age_seconds", main, above(2))
          const began = performance.now()
          const held = yield* metricsOf(a.address)
          assert.isBelow(performance.now() - began, 10_000)
          assert.strictEqual(valueIn(held, "lmdb_stat_entries", records), 1)
          const merging = { ...main, limit_name: "decompress" }
          const size = valueIn(yield* b.metrics, "lightningstream_syncer_snapshots_generated_last_size_bytes", main)
          assert.strictEqual(valueIn(held, "lightningstream_budget_bytes", merging), size)
          yield* a.application.send({ do: "letGo" })
          yield* a.until("lightningstream_budget_bytes", merging, is(0))
          yield* a.until("lmdb_stat_entries", records, is(2))
          yield* a.until("lightningstream_lmdb_statistics_age_seconds", main, (value) => value! < 1)
        })
    )
  })
})
