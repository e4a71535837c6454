/** The status page and the listing, of a daemon on virtual time with a bucket that fails. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { page, sectionOf, serves, textOf } from "./StatusPages.ts"
import { DatabaseError } from "../../../src/services/Database.ts"
import { LmdbError, Missing } from "../../../src/services/Lmdb.ts"
import { Choices } from "../../simulation/Choices.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { epoch, makeEnvironment, makeWorld, nameOf, pass } from "../daemon/World.ts"

describe("the status page", () => {
  it.effect("says that all is in sync, and what of each instance is merged", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      yield* bucket.put("b", epoch - 60_000, { d: [["of-b", 2, "v"]] })
      const daemon = yield* start(serves)
      yield* pass(3_000)
      const { body, contentType, headers } = yield* daemon.get("/")
      assert.strictEqual(contentType, "text/html; charset=utf-8")
      assert.match(
        headers!["content-security-policy"]!,
        /^default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-/
      )
      assert.notMatch(body, /(src|href)="https?:|@import|url\(/, "nothing from elsewhere")
      const text = textOf(body)
      assert.include(text, "Everything is in sync")
      assert.match(sectionOf(text, "main"), /Last snapshot sent [\d.]+ s ago ?, \d+ B ?, \d+ entry/)
      assert.match(
        sectionOf(text, "main"),
        /b [\d.]+ (s|min) ago [\d.]+ (s|min) ago merged [\d.]+ s ago : 1 new.* in sync/
      )
      assert.include(text, "No problems since the start")
    })
  )

  it.effect("says why it is not, since when, and what is quarantined; and remembers it", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const daemon = yield* start(serves)
      yield* pass(3_000)
      yield* bucket.store(nameOf("b", epoch), Buffer.from("no snapshot"))
      yield* pass(3_000)
      assert.match(
        textOf(yield* page(daemon)),
        new RegExp(`quarantined [\\d.]+ s ago ?: ${nameOf("b", epoch)}: .*corrupt`)
      )
      yield* bucket.faults.add({ operation: "store", times: Infinity }, { kind: "fail", reason: unavailable })
      yield* put({ d: [["k", 2, "v"]] })
      yield* pass(50_000)
      const failing = textOf(yield* page(daemon))
      assert.match(failing, /Not in sync, for \d+ s .*main ?: store .*injected.*, since [\d.]+ s ago/)
      assert.match(failing, /a change of the application is not stored yet \(for 5?\d+ s\)/)
      assert.match(failing, /Retries under way for main .* store a snapshot \d+ s ago \d store .*injected/)
      assert.match(failing, /Sending waiting to store again, for [\d.]+ s/)
      yield* bucket.faults.clear
      yield* bucket.storage.delete(nameOf("b", epoch))
      yield* pass(80_000)
      const after = textOf(yield* page(daemon))
      assert.include(after, "Everything is in sync")
      assert.notInclude(after, "Retries under way")
      assert.match(
        after,
        /main_storage_store 2026-01-01 00:00:\d\d [\d.]+ (s|min) ago over after \d+ s \d store .*injected/
      )
      assert.match(after, /main_snapshots_set_aside 2026-01-01 00:00:\d\d .* over after/)
    })
  )

  it.effect("counts the deltas since the last full snapshot, and their bytes, until the next one", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      const choices = new Choices(7)
      const line = (i: number) => [`key ${i}`, 1, Array.from({ length: 8 }, () => choices.next()).join("")] as const
      yield* put({ d: Array.from({ length: 200 }, (_, i) => line(i)) })
      const settings = { full_snapshot_interval: Duration.minutes(2) }
      const daemon = yield* start({ ...serves, settings })
      yield* pass(3_000)
      assert.notInclude(textOf(yield* page(daemon)), "Deltas sent")
      for (const timestamp of [2, 3]) {
        yield* put({ d: [["key 7", timestamp, "changed"]] })
        yield* pass(2_000)
      }
      const objects = yield* bucket.storage.list("")
      const [full, ...deltas] = objects.toSorted((a, b) => b.size - a.size)
      const bytes = deltas.reduce((sum, { size }) => sum + size, 0)
      const html = yield* page(daemon)
      const text = textOf(html)
      assert.match(text, /Deltas sent since the full snapshot 2 , \d+ B ; full snapshot [\d.]+ s ago , [\d.]+ KiB /)
      assert.match(text, /Last snapshot sent [\d.]+ s ago , a delta, \d+ B , 1 entry/)
      for (const size of [bytes, full!.size]) assert.include(html, `title="${size} bytes"`)
      assert.include(html, `title="${full!.name}"`)
      yield* pass(130_000)
      assert.notInclude(textOf(yield* page(daemon)), "Deltas sent")
    })
  )

  it.effect("counts the tombstones of each DBI when all entries are dumped", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({
        d: [
          ["k", 1, "v"],
          ["gone", 1, null],
          ["gone too", 1, null]
        ],
        e: [["k", 1, "v"]]
      })
      const daemon = yield* start(serves)
      yield* pass(3_000)
      const text = textOf(yield* page(daemon))
      assert.match(text, /DBI entries tombstones used pages depth flags d 3 2 /)
      assert.match(text, / e 1 0 /)
      assert.match(text, /Tombstones as of [\d.]+ s ago/)
    })
  )

  it.effect("of an LMDB whose statistics cannot be read any more says why, keeps the last ones, and syncs on", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const reason = new LmdbError({ path: "/memory/main", reason: new Missing() })
      let isGone = false
      const daemon = yield* start({
        ...serves,
        database: (database) => ({
          ...database,
          info: Effect.suspend(() =>
            isGone ? Effect.fail(new DatabaseError({ database: "main", operation: "info", reason })) : database.info
          )
        })
      })
      yield* pass(3_000)
      yield* page(daemon)
      isGone = true
      yield* pass(3_000)
      const text = textOf(yield* page(daemon))
      assert.include(text, `Statistics info of database &quot;main&quot;: ${reason.message}`)
      assert.match(text, /DBI entries tombstones used pages depth flags d 1 0/)
      const metrics = yield* daemon.get("/metrics")
      assert.match(metrics.body, /^lmdb_stat_entries\{.*\} 1$/m)
      assert.match(metrics.body, /^lightningstream_lmdb_statistics_age_seconds\{lmdb="main"\} 3/m)
      yield* put({ d: [["k", 2, "v"]] })
      yield* pass(3_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, 2)
    })
  )

  it.effect("does not wait for a busy thread where there are statistics; a scrape does, for a while", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      let isBusy = false
      const daemon = yield* start({
        ...serves,
        database: (database) => ({
          ...database,
          info: Effect.suspend(() => (isBusy ? Effect.never : database.info))
        })
      })
      yield* pass(3_000)
      yield* page(daemon)
      isBusy = true
      yield* pass(3_000)
      const timeOf = Effect.fnUntraced(function* (path: string) {
        const began = yield* Clock.currentTimeMillis
        const reading = yield* Effect.forkChild(daemon.get(path))
        while (reading.pollUnsafe() === undefined) yield* pass(10)
        return (yield* Clock.currentTimeMillis) - began
      })
      assert.isAtMost(yield* timeOf("/"), 50)
      assert.isAtLeast(yield* timeOf("/metrics"), 200)
    })
  )

  it.effect("escapes what comes from a bucket", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* bucket.store("main__<img src=x onerror=alert(1)>__20260101-000000-000000000__GX.pb.gz", Buffer.from("no"))
      const daemon = yield* start(serves)
      yield* pass(5_000)
      const html = yield* page(daemon)
      assert.include(html, "&lt;img src=x onerror=alert(1)&gt;")
      assert.notInclude(html, "<img")
    })
  )

  it.effect(
    "of 64 databases and 20 instances has all of them, closed",
    () =>
      Effect.gen(function* () {
        const { bucket, start } = yield* makeWorld()
        const names = Array.from({ length: 64 }, (_, index) => `shard${index}`)
        for (const name of names) {
          for (let i = 0; i < 20; i++) yield* bucket.store(nameOf(`ns${i}`, epoch, name), Buffer.from("no"))
        }
        const environments = Object.fromEntries(names.map((name) => [name, makeEnvironment()]))
        const daemon = yield* start({ ...serves, environments })
        yield* pass(1_000)
        const html = yield* page(daemon)
        assert.strictEqual(html.match(/<details id="db-/g)!.length, 64)
        assert.strictEqual(html.match(/<th scope="row">ns/g)!.length, 64 * 20)
      }),
    180_000
  )
})

describe("/storage", () => {
  it.effect("lists all objects, and says why it cannot", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* bucket.store("other", Buffer.from("abc"))
      const daemon = yield* start(serves)
      yield* pass(500)
      assert.deepInclude(yield* daemon.get("/storage"), {
        contentType: "text/plain; charset=utf-8",
        body: "Name\tSize\nother\t3\n"
      })
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      const failed = yield* daemon.get("/storage")
      assert.strictEqual(failed.status, 500)
      assert.include(failed.body, "list")
    })
  )

  it.effect("gives up after 10 s", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      const daemon = yield* start(serves)
      yield* pass(500)
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "hang" })
      const reading = yield* Effect.forkChild(daemon.get("/storage"))
      yield* pass(9_500)
      assert.isUndefined(reading.pollUnsafe())
      yield* pass(1_000)
      const { body, status } = yield* Fiber.join(reading)
      assert.deepStrictEqual([status, body], [500, "the storage has not been listed within 10 s\n"])
    })
  )
})
