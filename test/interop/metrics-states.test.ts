/**
 * What /metrics shows of states that a daemon in a process gets into: with a real LMDB, and a directory as the bucket.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Redacted } from "effect"
import * as Application from "../support/Application.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import * as Daemon from "../support/Daemon.ts"
import { addressOf, untilMetric, valueIn } from "../support/HttpPages.ts"
import { above, is, startSide, wrong } from "../support/MeteredSide.ts"
import * as Azurite from "../support/servers/Azurite.ts"
import { describeWith } from "../support/servers/RealServers.ts"

const main = { lmdb: "main" }

const makeBucket = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.makeTempDirectoryScoped({ prefix: "metrics-bucket-" })
})

/** Tombstones of a second ago are old. */
const sweeper = { enabled: true, retention_days: 1 / 86_400, interval: "300ms", first_interval: "100ms" }

describe("metrics of", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("the sweeper", () =>
      Effect.gen(function* () {
        const storage = Daemon.folderBucket(yield* makeBucket)
        const a = yield* startSide("a", storage, { sweeper }, { args: ["sync", "--accept-stale"] })
        yield* a.application.put("gone", "", 5n, true)
        const { exposition } = yield* a.until("lightningstream_sweeper_cleaned_total", main, is(1))
        assert.deepStrictEqual(
          wrong(exposition, [
            ["lightningstream_sweeper_stats_available", main, 1],
            ["lightningstream_sweeper_stats_total_entries", main, 1],
            ["lightningstream_sweeper_stats_deleted_entries", main, 0],
            ["lightningstream_entries_total", { ...main, operation: "sweep", result: "written" }, 1]
          ]),
          []
        )
        assert.strictEqual(exposition.types.get("lightningstream_sweeper_duration_seconds"), "summary")
        assert.isAbove(valueIn(exposition, "lightningstream_sweeper_duration_seconds_count", main)!, 0)
        assert.isAbove(valueIn(exposition, "lightningstream_sweeper_duration_seconds_sum", main)!, 0)
        assert.isAbove(
          valueIn(exposition, "lightningstream_entries_total", { operation: "sweep", result: "scanned" })!,
          1
        )
        assert.isAbove(valueIn(exposition, "lightningstream_write_lock_seconds_count", { operation: "sweep" })!, 0)
      })
    )

    it.effect("a sweep that fails: a value is none that the mode knows", () =>
      Effect.gen(function* () {
        const storage = Daemon.folderBucket(yield* makeBucket)
        const a = yield* startSide("a", storage, { sweeper }, { args: ["receive", "--accept-stale"] })
        yield* a.until("lightningstream_sweeper_stats_available", main, is(1))
        yield* a.application.write({ do: "put", dbi: "records", key: "00", value: "00" })
        yield* a.until("lightningstream_sweeper_failed_total", main, above(0))
      })
    )

    it.effect("a stale LMDB, whose changes wait", () =>
      Effect.gen(function* () {
        const storage = Daemon.folderBucket(yield* makeBucket)
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "metrics-" })
        const application = yield* Application.open(`${directory}/main.lmdb`)
        yield* application.put("old", "old", 2n)
        const config = {
          ...Daemon.quick,
          instance: "a",
          lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`) },
          storage,
          sweeper: { ...sweeper, retention_days: 30 },
          http: { address: "127.0.0.1:0" }
        }
        const daemon = yield* Daemon.start({ args: ["sync"], config })
        const address = yield* addressOf(daemon)
        yield* untilMetric(address, "lightningstream_stale", main, is(1))
        yield* untilMetric(address, "lightningstream_unsent_seconds", main, above(0))
      })
    )

    it.effect("shadow mode: the write lock of the copy before a dump", () =>
      Effect.gen(function* () {
        const storage = Daemon.folderBucket(yield* makeBucket)
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "metrics-" })
        const application = yield* LmdbApplication.make({
          path: `${directory}/main.lmdb`,
          mapSize: Application.megabyte
        })
        yield* application.write({ do: "create", dbi: "d", flags: 0 }, { do: "put", dbi: "d", key: "00", value: "00" })
        const config = {
          ...Daemon.quick,
          instance: "a",
          lmdbs: { main: { path: `${directory}/main.lmdb`, options: { no_subdir: true } } },
          storage,
          http: { address: "127.0.0.1:0" }
        }
        const daemon = yield* Daemon.start({ args: ["sync"], config })
        const address = yield* addressOf(daemon)
        yield* untilMetric(address, "lightningstream_ready", main, is(1))
        yield* application.write({ do: "put", dbi: "d", key: "00", value: "01" })
        const copies = { ...main, operation: "copy" }
        const { exposition } = yield* untilMetric(address, "lightningstream_write_lock_seconds_count", copies, above(1))
        assert.isAbove(valueIn(exposition, "lightningstream_write_lock_seconds_sum", copies)!, 0)
      })
    )

    it.effect("a clock that is behind our own newest snapshot, and a snapshot that is refused", () =>
      Effect.gen(function* () {
        const directory = yield* makeBucket
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${directory}/main__a__20991231-000000-000000000__GX.pb.gz`, "no snapshot")
        const a = yield* startSide("a", Daemon.folderBucket(directory))
        const { exposition } = yield* a.until("lightningstream_clock_behind_total", main, above(0))
        assert.isAbove(valueIn(exposition, "lightningstream_quarantines_total", { reason: "corrupt" })!, 0)
        assert.isUndefined(valueIn(exposition, "storage_s3_call_total"), "the bucket is a directory")
        assert.isAbove(valueIn(exposition, "lightningstream_storage_bytes_total", { direction: "down" })!, 0)
      })
    )
  })
})

describeWith("metrics of Azure", await Azurite.installed(), (installed) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("its calls, and the container that is made", () =>
      Effect.gen(function* () {
        const { account_key, account_name, endpoint_url } = yield* Azurite.Azurite
        const storage = {
          type: "azure",
          options: {
            endpoint_url,
            account_name,
            account_key: Redacted.value(account_key),
            use_shared_key: true,
            container: "metrics",
            create_container: true
          }
        }
        const a = yield* startSide("a", storage)
        const { exposition } = yield* a.until("lightningstream_ready", main, is(1))
        assert.deepStrictEqual(
          wrong(exposition, [
            ["storage_azure_call_total", { method: "create-container" }, 1],
            ["storage_azure_call_total", { method: "store" }, 1],
            ["storage_azure_call_duration_seconds_count", { method: "store" }, 1]
          ]),
          []
        )
        assert.isAbove(valueIn(exposition, "storage_azure_call_timestamp_seconds", { method: "list" })!, 1.6e9)
        const b = yield* startSide("b", {
          ...storage,
          options: {
            ...storage.options,
            account_key: Buffer.from("another key").toString("base64"),
            create_container: false
          }
        })
        yield* b.until(
          "storage_azure_call_error_by_type_total",
          { method: "list", error: "AuthorizationFailure" },
          above(0)
        )
        yield* b.until("storage_azure_call_error_total", { method: "list" }, above(0))
      }).pipe(Effect.provide(Azurite.layer(installed)))
    )
  })
})
