/** What the status page says of a database: its state, its map, its readers and budgets, on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { epoch, makeWorld, pass, settle } from "../daemon/World.ts"
import { page, serves, textOf } from "./StatusPages.ts"

describe("the status page, of a database,", () => {
  it.effect("shows the map as a bar, and when it will be full if it grows", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const bytesPerMinute = 10_000
      let isGrowing = true
      let used = 1_000_000
      const daemon = yield* start({
        ...serves,
        database: (database) => ({
          ...database,
          info: Effect.gen(function* () {
            const minutes = ((yield* Clock.currentTimeMillis) - epoch) / 60_000
            if (isGrowing) used = 1_000_000 + Math.round(minutes * bytesPerMinute)
            return { ...(yield* database.info), mapSize: 10_000_000, used, readers: 3, maxReaders: 126 }
          })
        })
      })
      // Leaps: nothing depends on what the daemon does meanwhile.
      const lookFor = Effect.fnUntraced(function* (minutes: number) {
        for (let i = 0; i < minutes; i++) {
          yield* TestClock.adjust("1 minute")
          yield* settle
          yield* page(daemon)
        }
        return yield* page(daemon)
      })
      assert.notInclude(textOf(yield* lookFor(4)), "full in", "too short a time to conclude anything")
      const html = yield* lookFor(4)
      assert.match(html, /<meter min="0" max="10000000" low="7000000" high="8500000" optimum="0" value="108\d{4}">/)
      const text = textOf(html)
      assert.match(text, /1\.0 MiB of 9\.5 MiB used \(10\.8 %\); at this rate full in 14\.9 h/)
      assert.include(text, "Readers 3 of 126")
      assert.match(text, /Downloads 0 of \d+ in use.* Merges 0 of \d+ in use/)
      isGrowing = false
      assert.notInclude(textOf(yield* lookFor(61)), "full in", "it has not grown for an hour")
    })
  )

  it.effect("says what it is doing: starting, merging, and what waits for its turn", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      for (const instance of ["b", "c"]) yield* bucket.put(instance, epoch - 5_000, { d: [[instance, 2, "v"]] })
      const daemon = yield* start({
        ...serves,
        settings: { memory_decompressed_snapshots: 1 },
        database: (database) => ({ ...database, merge: () => Effect.never })
      })
      yield* pass(3_000)
      const html = yield* page(daemon)
      const text = textOf(html)
      assert.match(text, / main starting /)
      assert.match(text, /its start is in progress \(for [\d.]+ s\)/)
      assert.match(text, /behind for [\d.]+ s: merging, for [\d.]+ s/)
      assert.match(text, /behind for [\d.]+ s: waiting for a merge, for [\d.]+ s/)
      assert.match(text, /Merges 1 of 1 in use, 1 waiting, \d+ B/)
      assert.include(text, "Syncing: 1 of 1 databases have something under way")
    })
  )

  it.effect("says that it is merging once it is ready, and that it sends", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      let isBusy = false
      const daemon = yield* start({
        ...serves,
        database: (database) => ({
          ...database,
          merge: (request) => (isBusy ? Effect.never : database.merge(request)),
          dump: (request) => (isBusy ? Effect.never : database.dump(request))
        })
      })
      yield* pass(3_000)
      isBusy = true
      yield* put({ d: [["k", 2, "v"]] })
      yield* pass(2_000)
      assert.match(textOf(yield* page(daemon)), / main dumping .*Sending dumping, for [\d.]+ s/)
      yield* bucket.put("b", epoch + 3_000, { d: [["of-b", 2, "v"]] })
      yield* pass(2_000)
      assert.match(textOf(yield* page(daemon)), / main merging /)
    })
  )

  it.effect("has a caption for each table, headers for its rows and columns, and headings", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      yield* bucket.store("main__b__20260101-000000-000000000__GX.pb.gz", Buffer.from("no snapshot"))
      const daemon = yield* start(serves)
      yield* pass(5_000)
      const html = yield* page(daemon)
      const tables = Array.from(html.matchAll(/<table.*?<\/table>/gs), ([table]) => table)
      assert.lengthOf(tables, 3)
      for (const table of tables) {
        assert.match(table, /^<table[^>]*><caption>[^<]+<\/caption>/)
        assert.match(table, /<th scope="row">/)
        assert.match(table, /<th scope="col"[^>]*>/)
        assert.notMatch(table, /<th>/)
      }
      assert.lengthOf(html.match(/<h1>/g)!, 1)
      assert.match(html, /<summary><h2>main<\/h2>/)
      assert.match(html, /^<!doctype html>\s<html lang="en">.*<meta name="viewport"/s)
    })
  )

  it.effect("is read of the LMDB once a second at most, whoever asks", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      let looks = 0
      const daemon = yield* start({
        ...serves,
        database: (database) => ({
          ...database,
          info: Effect.andThen(
            Effect.sync(() => looks++),
            database.info
          )
        })
      })
      yield* pass(3_000)
      const askFor = Effect.fnUntraced(function* (millis: number) {
        const before = looks
        for (let passed = 0; passed < millis; passed += 100) {
          for (const path of ["/", "/metrics"]) yield* daemon.get(path)
          yield* pass(100)
        }
        return looks - before
      })
      assert.strictEqual(yield* askFor(900), 1)
      yield* pass(1_000)
      assert.isAtMost(yield* askFor(3_000), 3)
    })
  )
})
