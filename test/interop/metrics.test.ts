/**
 * What /metrics shows of daemons in processes, with real LMDBs, a real S3 server and a proxy that fails before it: each
 * metric moves for its reason, by as much as it should. Those of LMDB itself are in lmdb-metrics.test.ts.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as StorageS3 from "../../src/layers/storage/s3/StorageS3.ts"
import { Storage } from "../../src/services/Storage.ts"
import { s3Options } from "../support/fixtures/S3OptionsTest.ts"
import { type Exposition, valueIn } from "../support/HttpPages.ts"
import { above, type Expected, is, startSide, wrong } from "../support/MeteredSide.ts"
import * as FaultyProxy from "../support/servers/FaultyProxy.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const main = { lmdb: "main" }

const seconds = () => performance.timeOrigin / 1e3 + performance.now() / 1e3

const isRecent = (value: number | undefined) => value !== undefined && Math.abs(value - seconds()) < 120

const ofB = { ...main, syncer_instance: "b" }

/** Of a bucket that is there. */
const bucketAt = (server: Swift.Swift["Service"], bucket: string) =>
  Effect.provide(Storage, StorageS3.layerWith(s3Options({ ...server, bucket })))

/** Of one snapshot of `size` bytes with one entry, and nothing received. */
const afterSend = (size: number): ReadonlyArray<Expected> => [
  ["lightningstream_syncer_snapshots_generated_total", main, 1],
  ["lightningstream_syncer_snapshots_store_calls_total", {}, 1],
  ["lightningstream_syncer_snapshots_store_bytes_total", {}, size],
  ["lightningstream_syncer_snapshots_load_calls_total", {}, 0],
  ["lightningstream_entries_total", { ...main, operation: "dump", result: "scanned" }, 1],
  ["lightningstream_sends_total", { ...main, result: "stored" }, 1],
  ["lightningstream_unsent_seconds", main, 0],
  ["lightningstream_stale", main, 0],
  ["lightningstream_quarantined_snapshots", main, 0],
  ["lightningstream_clock_behind_total", main, 0],
  ["lightningstream_storage_bytes_total", { direction: "up", kind: "snapshot" }, size],
  ["lightningstream_climit_limit", { ...main, limit_name: "download" }, 2],
  ["lightningstream_climit_limit", { ...main, limit_name: "decompress" }, 3],
  ["lightningstream_climit_active", main, 0],
  ["lightningstream_climit_waiting", main, 0],
  ["storage_s3_call_total", { method: "create-bucket" }, 1],
  ["storage_s3_call_total", { method: "store" }, 1],
  ["storage_s3_call_duration_seconds_count", { method: "store" }, 1],
  ["storage_s3_call_duration_seconds_bucket", { method: "store", le: "60" }, 1]
]

/** Of one snapshot of b with `size` bytes, of which one entry was new. */
const afterMerge = (size: number): ReadonlyArray<Expected> => [
  ["lightningstream_syncer_snapshots_load_calls_total", {}, 1],
  ["lightningstream_syncer_snapshots_load_bytes_total", {}, size],
  ["lightningstream_storage_bytes_total", { direction: "down", kind: "snapshot" }, size],
  ["storage_s3_call_total", { method: "load" }, 1],
  ["storage_s3_call_duration_seconds_count", { method: "load" }, 1],
  ["lightningstream_receiver_snapshots_last_received_age_seconds_count", ofB, 1],
  ["lightningstream_receiver_snapshots_last_received_age_seconds_bucket", { ...ofB, le: "2592000" }, 1],
  ["lightningstream_entries_total", { ...main, operation: "merge", result: "skipped" }, 0],
  ["lightningstream_entries_total", { ...main, operation: "merge", result: "written" }, 1],
  ["lightningstream_write_lock_seconds_count", { ...main, operation: "merge" }, 1],
  ["lightningstream_instance_behind_seconds", ofB, 0],
  ["lightningstream_instance_ahead_seconds", ofB, 0],
  ["lightningstream_climit_acquired_total", { ...main, limit_name: "download" }, 1],
  ["lightningstream_climit_acquired_total", { ...main, limit_name: "decompress" }, 1],
  ["lightningstream_climit_waiting_seconds_count", { ...main, limit_name: "download" }, 1],
  ["lightningstream_climit_active_seconds_count", { ...main, limit_name: "decompress" }, 1]
]

const afterQuarantine: ReadonlyArray<Expected> = [
  ["lightningstream_quarantines_total", { ...main, reason: "corrupt" }, 1],
  ["lightningstream_syncer_snapshots_load_failed_total", { ...main, syncer_instance: "c" }, 2],
  ["lightningstream_merges_total", { ...main, result: "failed" }, 2]
]

/** What a shows after it has merged the snapshot of b, and what b shows. */
const checkMerged = (ofA: Exposition, other: Exposition) => {
  const otherSize = valueIn(other, "lightningstream_syncer_snapshots_generated_last_size_bytes", main)!
  const otherTime = valueIn(other, "lightningstream_syncer_snapshots_generated_last_unix_seconds", main)!
  assert.deepStrictEqual(wrong(ofA, afterMerge(otherSize)), [])
  // One of b's own, and that of a if b had merged it by then.
  assert.oneOf(valueIn(ofA, "lightningstream_entries_total", { operation: "merge", result: "scanned" }), [1, 2])
  for (const name of ["receiver_snapshots_last_received_seconds", "instance_last_merged_seconds"]) {
    assert.approximately(valueIn(ofA, `lightningstream_${name}`, ofB)!, otherTime, 0.001, name)
  }
  assert.isAbove(valueIn(ofA, "lightningstream_write_lock_seconds_sum", main)!, 0)
  const received = "lightningstream_receiver_snapshots_last_received_seconds"
  assert.isUndefined(valueIn(ofA, received, { syncer_instance: "a" }))
}

describeWith("metrics", await Swift.installed(), (installed) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "of sending, receiving and the calls of S3, as they happen",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const storage = yield* bucketOf("metrics").pipe(Effect.provideService(Swift.Swift, server))
          const a = yield* startSide("a", storage)
          const { exposition: sent } = yield* a.until("lightningstream_ready", main, is(1))
          const size = valueIn(sent, "lightningstream_syncer_snapshots_generated_last_size_bytes", main)!
          assert.isAbove(size, 50)
          assert.isTrue(isRecent(valueIn(sent, "lightningstream_syncer_snapshots_generated_last_unix_seconds", main)))
          assert.isTrue(isRecent(valueIn(sent, "storage_s3_call_timestamp_seconds", { method: "store" })))
          assert.deepStrictEqual(wrong(sent, afterSend(size)), [])
          const { exposition: listed } = yield* a.until(
            "lightningstream_receiver_snapshots_in_storage_count",
            main,
            is(1)
          )
          assert.strictEqual(valueIn(listed, "lightningstream_receiver_snapshots_in_storage_bytes", main), size)
          assert.strictEqual(
            valueIn(listed, "storage_s3_call_total", { method: "list" }),
            valueIn(listed, "lightningstream_syncer_snapshots_list_calls_total")
          )

          const b = yield* startSide("b", storage)
          yield* a.until("lightningstream_merges_total", { ...main, result: "merged" }, is(1))
          // The permits are returned after that.
          const held = { ...main, limit_name: "decompress" }
          const { exposition: merged } = yield* a.until("lightningstream_climit_active_seconds_count", held, is(1))
          checkMerged(merged, yield* b.metrics)
          // What was in the bucket is gone: its series are as well.
          yield* b.daemon.signal("SIGTERM")
          yield* b.daemon.ended
          const bucket = yield* bucketAt(server, "metrics")
          for (const { name } of yield* bucket.list("main__b__")) yield* bucket.delete(name)
          yield* a.until(
            "lightningstream_receiver_snapshots_last_received_seconds",
            ofB,
            (value) => value === undefined
          )
        }),
      120_000
    )

    it.effect(
      "of the update marker, and of snapshots that are corrupt, from the future, or wait for their turn",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const proxy = yield* FaultyProxy.make(server.port)
          const options = { endpoint_url: proxy.endpoint_url, client_timeout: "1s", use_update_marker: true }
          const storage = yield* bucketOf("waiting", options).pipe(Effect.provideService(Swift.Swift, server))
          const settings = { memory_downloaded_snapshots: 1, storage_retry_interval: "200ms" }
          const a = yield* startSide("a", storage, settings)
          const { exposition: ready } = yield* a.until("lightningstream_ready", main, is(1))
          // The marker is read before each listing and written after each store.
          const marker = { kind: "marker" }
          assert.isAbove(valueIn(ready, "lightningstream_storage_bytes_total", { direction: "up", ...marker })!, 20)
          yield* a.until("lightningstream_storage_bytes_total", { direction: "down", ...marker }, above(20))
          assert.isAbove(valueIn(ready, "storage_s3_call_total", { method: "load" })!, 0)
          assert.isUndefined(valueIn(ready, "storage_s3_call_error_total", { method: "load" }), "no marker is no error")

          const bucket = yield* bucketAt(server, "waiting")
          const put = (instance: string, year: number, bytes: Buffer) =>
            bucket.store(`main__${instance}__${year}0101-000000-000000000__GX.pb.gz`, {
              size: bytes.length,
              read: (start, end) => Stream.succeed(new Uint8Array(bytes.subarray(start, end)))
            })
          // Without a marker they are listed at once.
          yield* put("c", 2025, Buffer.from("no snapshot"))
          yield* bucket.delete("update-marker")
          const { exposition: corrupt } = yield* a.until("lightningstream_quarantined_snapshots", main, is(1))
          assert.deepStrictEqual(wrong(corrupt, afterQuarantine), [])

          // Two instances more, whose bodies break off: one holds the only permit while it waits, one waits for it.
          yield* proxy.set("cut")
          for (const instance of ["d", "e"]) yield* put(instance, 2099, Buffer.alloc(2_000, instance))
          const failed = "lightningstream_syncer_snapshots_load_failed_total"
          for (const syncer_instance of ["d", "e"]) yield* a.until(failed, { syncer_instance }, above(0))
          const ofD = { syncer_instance: "d" }
          const { exposition: behind } = yield* a.until("lightningstream_instance_behind_seconds", ofD, above(0))
          assert.isAbove(valueIn(behind, "lightningstream_instance_ahead_seconds", ofD)!, 1e9)
          yield* proxy.set("hang")
          const download = { ...main, limit_name: "download" }
          yield* a.until("lightningstream_climit_active", download, is(1))
          yield* a.until("lightningstream_climit_waiting", download, is(1))
          // Half of one of 2,000 bytes is there, and the rest does not come.
          yield* proxy.set("stall")
          yield* a.until("lightningstream_budget_bytes", download, is(1_000))
        }),
      180_000
    )

    it.effect(
      "of a store that fails, by the errors it fails with",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const proxy = yield* FaultyProxy.make(server.port)
          const options = { endpoint_url: proxy.endpoint_url, client_timeout: "1s" }
          const storage = yield* bucketOf("failing", options).pipe(Effect.provideService(Swift.Swift, server))
          const a = yield* startSide("a", storage, { storage_retry_count: 1_000, storage_retry_interval: "200ms" })
          yield* a.until("lightningstream_ready", main, is(1))
          yield* proxy.set(503)
          yield* a.application.put("a", "unsent", 2n)
          const byType = "storage_s3_call_error_by_type_total"
          yield* a.until(byType, { error: "SlowDown", method: "store" }, above(0))
          yield* a.until("lightningstream_syncer_snapshots_list_failed_total", main, above(0))
          const { exposition: failing } = yield* a.until("lightningstream_unsent_seconds", main, above(0))
          assert.isAbove(valueIn(failing, "lightningstream_syncer_snapshots_store_failed_attempts_total", main)!, 0)
          assert.isAbove(valueIn(failing, "storage_s3_call_error_total", { method: "store" })!, 0)
          yield* proxy.set("hang")
          yield* a.until(byType, { error: "Timeout" }, above(0))
          yield* proxy.set("reset")
          yield* a.until(byType, { error: "URLError" }, above(0))
          yield* proxy.set("none")
          yield* a.until("lightningstream_unsent_seconds", main, is(0))
        }),
      180_000
    )

    it.effect(
      "of a store that is given up, while the daemon ends",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const proxy = yield* FaultyProxy.make(server.port)
          const options = { endpoint_url: proxy.endpoint_url, client_timeout: "1s" }
          const storage = yield* bucketOf("given-up", options).pipe(Effect.provideService(Swift.Swift, server))
          const a = yield* startSide("a", storage, { storage_retry_count: 2 })
          yield* a.until("lightningstream_ready", main, is(1))
          yield* proxy.set("hang")
          yield* a.application.put("a", "unsent", 2n)
          yield* a.until("lightningstream_syncer_snapshots_store_failed_permanently_total", main, is(1))
          assert.strictEqual(yield* a.daemon.ended, 1)
        }),
      120_000
    )

    it.effect(
      "of the cleaner",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const proxy = yield* FaultyProxy.make(server.port)
          const bucketed = yield* bucketOf("cleaned", { endpoint_url: proxy.endpoint_url }).pipe(
            Effect.provideService(Swift.Swift, server)
          )
          const cleanup = {
            enabled: true,
            interval: "300ms",
            must_keep_interval: "1ms",
            remove_old_instances_interval: "1ms"
          }
          const a = yield* startSide("a", { ...bucketed, cleanup })
          yield* a.until("lightningstream_ready", main, is(1))
          const b = yield* startSide("b", bucketed)
          yield* b.until("lightningstream_ready", main, is(1))
          yield* b.daemon.signal("SIGTERM")
          yield* b.daemon.ended
          // What is sent before that does not contain what b had.
          yield* a.daemon.logged("Loaded remote update", (line) => line["snapshot_instance"] === "b")
          yield* a.application.put("a", "second", 2n)
          yield* a.until("lightningstream_cleaner_delete_total", { ...main, reason: "newer snapshot" }, above(0))
          yield* a.until("lightningstream_cleaner_delete_total", { ...main, reason: "stale instance" }, above(0))
          const { exposition } = yield* a.until("lightningstream_cleaner_list_calls_total", {}, above(1))
          assert.isAbove(valueIn(exposition, "storage_s3_call_total", { method: "delete" })!, 1)
          assert.strictEqual(valueIn(exposition, "lightningstream_cleaner_list_failed_total"), 0)
          yield* proxy.set(500)
          yield* a.until("lightningstream_cleaner_list_failed_total", {}, above(0))
        }),
      120_000
    )
  })
})
