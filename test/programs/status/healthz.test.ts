/**
 * The states of /healthz, on virtual time, with a bucket that fails and an LMDB that is not there. Real faults of
 * processes: test/interop.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { Refused } from "../../../src/services/Storage.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { epoch, makeWorld, nameOf, pass, type RunningDaemon } from "../daemon/World.ts"

const { health } = SettingsTest.make()

const Body = Schema.fromJsonString(
  Schema.Struct({
    ok: Schema.Boolean,
    has_warnings: Schema.Boolean,
    status: Schema.String,
    time: Schema.String,
    since: Schema.String,
    runtime: Schema.Record(Schema.String, Schema.Unknown),
    failures: Schema.Record(Schema.String, Schema.String),
    warnings: Schema.Record(Schema.String, Schema.String),
    metadata: Schema.Record(Schema.String, Schema.Unknown)
  })
)

const healthz = Effect.fnUntraced(function* (daemon: RunningDaemon) {
  const { body, contentType, status = 200 } = yield* daemon.get("/healthz")
  assert.strictEqual(contentType, "application/json")
  return { code: status, ...(yield* Schema.decodeEffect(Body)(body)) }
})

const serves = { serves: true } as const

/** What fails, and how. */
const stateOf = Effect.fnUntraced(function* (daemon: RunningDaemon) {
  const { code, failures, has_warnings, ok, status, warnings } = yield* healthz(daemon)
  const expected =
    Object.keys(failures).length > 0 ? "Unavailable" : Object.keys(warnings).length > 0 ? "Warning" : "OK"
  assert.deepStrictEqual(
    { code, ok, status, has_warnings },
    {
      code: expected === "Unavailable" ? 503 : 200,
      ok: expected !== "Unavailable",
      status: expected,
      has_warnings: Object.keys(warnings).length > 0
    }
  )
  return { failures, warnings }
})

const well = { failures: {}, warnings: {} }

describe("/healthz", () => {
  it.effect("is OK when all is well, and tells of the process and of each database's start", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const daemon = yield* start(serves)
      yield* pass(2_000)
      assert.deepStrictEqual(yield* healthz(daemon), {
        code: 200,
        ok: true,
        has_warnings: false,
        status: "OK",
        time: "2026-01-01T00:00:02.000Z",
        since: "2026-01-01T00:00:00.000Z",
        runtime: {
          arch: "amd64",
          os: "linux",
          version: "v0.0.0",
          alloc_bytes: 7,
          heap_total_bytes: 8,
          external_bytes: 9,
          resident_bytes: 2
        },
        failures: {},
        warnings: {},
        metadata: { hostname: "host", version: "0.0.0", startup_main: true }
      })
    })
  )

  const failed = {
    list: "failed to list snapshots on storage backend",
    load: "failed to load a snapshot from storage backend",
    store: "failed to write to storage backend"
  } as const
  for (const operation of ["list", "load", "store"] as const) {
    it.effect(
      `a ${operation} that fails: a warning, then an error, by how long it has been failing; well again when it works`,
      () =>
        Effect.gen(function* () {
          const { bucket, put, start } = yield* makeWorld()
          yield* put({ d: [["k", 1, "v"]] })
          const settings = {
            health: {
              ...health,
              [`storage_${operation}`]: {
                interval: Duration.seconds(10),
                warn_duration: Duration.seconds(60),
                error_duration: Duration.seconds(300)
              }
            }
          }
          const daemon = yield* start({ ...serves, settings })
          yield* pass(2_000)
          yield* bucket.faults.add({ operation, times: Infinity }, { kind: "fail", reason: unavailable })
          yield* bucket.put("b", epoch + 1_000, { d: [["of-b", 2, "v"]] }).pipe(Effect.ignore)
          yield* put({ d: [["more", 3, "v"]] })
          yield* pass(50_000)
          assert.deepStrictEqual(yield* stateOf(daemon), well)
          yield* pass(30_000)
          const warned = (yield* stateOf(daemon)).warnings[`main_storage_${operation}_failed_duration`]!
          assert.match(
            warned,
            new RegExp(`^${failed[operation]} for 1m\\d+s - last error: '${operation} .*storage unavailable`)
          )
          yield* pass(250_000)
          const state = yield* stateOf(daemon)
          assert.deepStrictEqual(Object.keys(state.failures), [`main_storage_${operation}_failed_duration`])
          assert.match(
            state.failures[`main_storage_${operation}_failed_duration`]!,
            new RegExp(`^${failed[operation]} for 5m\\d+s - `)
          )
          assert.deepStrictEqual(state.warnings, {})
          yield* bucket.faults.clear
          yield* pass(80_000)
          assert.deepStrictEqual(yield* stateOf(daemon), well)
        })
    )
  }

  it.effect("is looked at in its interval, not more often", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      const storage_list = {
        interval: Duration.minutes(2),
        warn_duration: Duration.zero,
        error_duration: Duration.minutes(5)
      }
      const daemon = yield* start({ ...serves, settings: { health: { ...health, storage_list } } })
      // By then the first look is over.
      yield* pass(5_000)
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      yield* pass(100_000)
      assert.deepStrictEqual(yield* stateOf(daemon), well)
      yield* pass(25_000)
      assert.deepStrictEqual(Object.keys((yield* stateOf(daemon)).warnings), ["main_storage_list_failed_duration"])
    })
  )

  it.effect("with a duration of 0 a failure is an error at the next look", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      const storage_list = {
        interval: Duration.seconds(1),
        warn_duration: Duration.zero,
        error_duration: Duration.zero
      }
      const reason = new Refused({ code: "AccessDenied", detail: "no", advice: "check" })
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason })
      const daemon = yield* start({ ...serves, settings: { health: { ...health, storage_list } } })
      yield* pass(3_000)
      assert.match(
        (yield* stateOf(daemon)).failures["main_storage_list_failed_duration"]!,
        /for \d+s - last error: '.*AccessDenied/
      )
    })
  )

  it.effect("the start: shown while it is under way where that is asked for, then gone for good", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      // The listings themselves are not to be seen here.
      const quiet = {
        interval: Duration.seconds(1),
        warn_duration: Duration.hours(9),
        error_duration: Duration.hours(9)
      }
      const start_ = {
        ...health.start,
        report_healthz: true,
        warn_duration: Duration.seconds(10),
        error_duration: Duration.seconds(20)
      }
      const daemon = yield* start({
        ...serves,
        settings: { health: { ...health, storage_list: quiet, start: start_ } }
      })
      yield* pass(8_000)
      assert.deepStrictEqual(yield* stateOf(daemon), well)
      assert.strictEqual((yield* healthz(daemon)).metadata["startup_main"], false)
      yield* pass(5_000)
      assert.match(
        (yield* stateOf(daemon)).warnings["main_startup_in_progress"]!,
        /^the start is in progress for 1\ds$/
      )
      yield* pass(10_000)
      assert.match(
        (yield* stateOf(daemon)).failures["main_startup_in_progress"]!,
        /^the start is in progress for 2\ds$/
      )
      yield* bucket.faults.clear
      yield* pass(3_000)
      assert.deepStrictEqual(yield* stateOf(daemon), well)
      assert.strictEqual((yield* healthz(daemon)).metadata["startup_main"], true)
      yield* daemon.kill

      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      const silent = yield* start({
        ...serves,
        settings: {
          health: {
            ...health,
            storage_list: quiet,
            start: { ...start_, report_healthz: false, report_metadata: false }
          }
        }
      })
      yield* pass(30_000)
      assert.deepStrictEqual(yield* stateOf(silent), well)
      assert.deepStrictEqual((yield* healthz(silent)).metadata, { hostname: "host", version: "0.0.0" })
    })
  )

  it.effect("an LMDB that is not there, and a snapshot that is quarantined, are warnings at once", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      let present = false
      const daemon = yield* start({ ...serves, present: () => present })
      yield* pass(3_000)
      const { failures, warnings } = yield* stateOf(daemon)
      assert.deepStrictEqual(failures, {})
      assert.deepStrictEqual(Object.keys(warnings), ["main_lmdb_missing"])
      assert.include(warnings["main_lmdb_missing"], "there is no such file")
      present = true
      yield* pass(2_000)
      assert.deepStrictEqual(yield* stateOf(daemon), well)
      const bad = nameOf("b", epoch)
      yield* bucket.store(bad, Buffer.from("no snapshot"))
      yield* pass(20_000)
      const aside = (yield* stateOf(daemon)).warnings
      assert.deepStrictEqual(Object.keys(aside), ["main_snapshots_set_aside"])
      assert.include(aside["main_snapshots_set_aside"], bad)
      yield* bucket.storage.delete(bad)
      yield* pass(2_000)
      assert.deepStrictEqual(yield* stateOf(daemon), well)
    })
  )
})
