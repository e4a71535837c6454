/**
 * A store that is killed, stays away, and comes back with what was stored, under two daemons: they go on, say so once,
 * and catch up.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import * as CountingProxy from "../support/servers/CountingProxy.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { untilMetric } from "../support/HttpPages.ts"
import * as MeteredSide from "../support/MeteredSide.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import * as Versitygw from "../support/servers/Versitygw.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

/** Each wait takes two or three seconds on a quiet machine; with the first one that is in vain a test is over. */
const patience = "30 seconds"

const count = (daemon: Daemon.Daemon, msg: string) => daemon.log.filter((line) => line.msg.startsWith(msg)).length

/** An application, and the daemon beside it, named alike. `settings` win. */
const startSide = (instance: string, storage: object, settings: object = {}) =>
  Effect.map(MeteredSide.startSide(instance, storage, settings, { patience }), (side) => ({ ...side, instance }))

type Side = Effect.Success<ReturnType<typeof startSide>>

const arrives = ({ application, daemon, instance }: Side, key: string, value: string) =>
  eventually(
    `${key} = ${value} arrives at ${instance}`,
    Effect.map(application.records, (records) => (records[key] === value ? value : undefined)),
    daemon.text,
    patience
  )

const servers = [
  { name: "Swift", makeDurable: Swift.makeDurable, found: await Swift.installed() },
  { name: "versitygw", makeDurable: Versitygw.makeDurable, found: await Versitygw.installed() }
]

for (const { found, makeDurable, name } of servers)
  describeWith(`an outage of ${name}`, found, (installed) => {
    layer(NodeServices.layer, { excludeTestServices: true })((it) => {
      it.effect(
        "of the whole store, twice: both daemons go on and converge, what was written meanwhile included",
        () =>
          Effect.gen(function* () {
            const server = yield* makeDurable(installed)
            yield* server.start
            const storage = yield* bucketOf("outage", { client_timeout: "2s" }).pipe(
              Effect.provideService(Swift.Swift, server.swift)
            )
            const [a, b] = [yield* startSide("a", storage), yield* startSide("b", storage)]
            yield* arrives(a, "b", "first")
            yield* arrives(b, "a", "first")
            for (const round of [1, 2]) {
              const from = { a: a.daemon.log.length, b: b.daemon.log.length }
              yield* server.kill
              yield* a.daemon.logged("Cannot list snapshots", undefined, from.a)
              yield* b.daemon.logged("Cannot list snapshots", undefined, from.b)
              yield* a.application.put("a", `stale ${round}`, BigInt(10 * round))
              const problem = yield* a.daemon.logged("Cannot store a snapshot", undefined, from.a)
              assert.match(problem.error!, /ECONNREFUSED/)
              // The newest state is what is sent, not the one that could not be stored.
              yield* a.application.put("a", `newest ${round}`, BigInt(10 * round + 1))
              yield* b.application.put("b", `during ${round}`, BigInt(10 * round))
              yield* b.daemon.logged("Cannot store a snapshot", undefined, from.b)
              const superseded = { lmdb: "main", result: "superseded" }
              yield* untilMetric(a.address, "lightningstream_sends_total", superseded, (value) => value === round)
              const stored = count(a.daemon, "Stored snapshot")
              yield* server.start
              yield* arrives(b, "a", `newest ${round}`)
              yield* arrives(a, "b", `during ${round}`)
              assert.strictEqual(
                count(a.daemon, "Stored snapshot"),
                stored + 1,
                "one that was older was stored as well"
              )
              for (const { daemon } of [a, b]) {
                for (const what of ["list snapshots", "store a snapshot"]) {
                  yield* daemon.logged(`Recovered: can ${what} again`, undefined, daemon === a.daemon ? from.a : from.b)
                  assert.strictEqual(count(daemon, `Cannot ${what}`), round, daemon.text())
                }
              }
            }
            assert.deepStrictEqual(yield* a.application.records, { a: "newest 2", b: "during 2" })
            assert.deepStrictEqual(yield* b.application.records, yield* a.application.records)
            for (const { daemon } of [a, b]) {
              yield* daemon.signal("SIGTERM")
              assert.strictEqual(yield* daemon.ended, 0)
            }
          }),
        180_000
      )

      it.effect(
        "that is longer than storage_retry_count lasts: the daemon ends with 1 and the cause, and the next start sends what was left",
        () =>
          Effect.gen(function* () {
            const server = yield* makeDurable(installed)
            yield* server.start
            const storage = yield* bucketOf("given-up", { client_timeout: "2s" }).pipe(
              Effect.provideService(Swift.Swift, server.swift)
            )
            const fs = yield* FileSystem.FileSystem
            const path = `${yield* fs.makeTempDirectoryScoped({ prefix: "outage-" })}/main.lmdb`
            const application = yield* Application.open(path)
            yield* application.put("a", "first", 1n)
            const config = {
              ...Daemon.quick,
              instance: "a",
              lmdbs: { main: Daemon.nativeFile(path) },
              storage,
              storage_retry_count: 3
            }
            const daemon = yield* Daemon.start({ args: ["sync"], config, patience })
            yield* daemon.logged("Initial sync complete")
            yield* server.kill
            yield* application.put("a", "unsent", 2n)
            yield* daemon.logged("Cannot store a snapshot")
            const ending = yield* daemon.logged("Fatal error")
            assert.strictEqual(yield* daemon.ended, 1)
            assert.match(ending.error!, /failed 3 times in a row \(storage_retry_count\).*ECONNREFUSED/)
            yield* daemon.logged("Pending changes were not sent")
            yield* server.start
            const b = yield* startSide("b", storage)
            yield* arrives(b, "a", "first")
            yield* Daemon.start({ args: ["sync"], config, patience })
            yield* arrives(b, "a", "unsent")
          }),
        180_000
      )

      for (const use_update_marker of [false, true]) {
        it.effect(
          `none: an idle daemon makes one request per poll, ${use_update_marker ? "a read of the marker" : "a listing"}`,
          () =>
            Effect.gen(function* () {
              const server = yield* makeDurable(installed)
              yield* server.start
              const proxy = yield* CountingProxy.make(server.swift.port)
              const options = { endpoint_url: proxy.endpoint_url, global_prefix: "pre-", use_update_marker }
              const storage = yield* bucketOf("idle", options).pipe(Effect.provideService(Swift.Swift, server.swift))
              const { daemon } = yield* startSide("a", storage, { storage_poll_interval: "200ms" })
              yield* daemon.logged("Stored snapshot")
              yield* daemon.logged("Initial sync complete")
              const poll = use_update_marker ? "GET /idle/pre-update-marker" : "LIST /idle/pre-main__"
              // After its own store it lists once more, maybe right after a look at the marker: so one poll alone does
              // not show that it is idle.
              const seen: Array<string> = []
              yield* eventually(
                "it is idle",
                Effect.map(proxy.requests, (requests) => {
                  seen.push(...requests)
                  return seen.length > 3 && seen.slice(-3).every((request) => request === poll) ? true : undefined
                }),
                () => seen.join(),
                patience
              )
              const began = yield* Clock.monotonicTimeNanos
              yield* Effect.sleep("3 seconds")
              const requests = yield* proxy.requests
              const polls = Number((yield* Clock.monotonicTimeNanos) - began) / 2e8
              assert.deepStrictEqual([...new Set(requests)], [poll])
              assert.isAtMost(requests.length, polls + 2)
            }),
          180_000
        )
      }
    })
  })
