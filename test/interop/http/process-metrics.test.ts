/** What /metrics says of the process: each value moves for its reason, in a daemon beside a real LMDB. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as net from "node:net"
import packageJson from "../../../package.json" with { type: "json" }
import * as Application from "../../support/Application.ts"
import * as Daemon from "../../support/Daemon.ts"
import { addressOf, get, healthOf, untilMetric, valueIn } from "../../support/HttpPages.ts"
import { above, is, startSide } from "../../support/MeteredSide.ts"

const main = { lmdb: "main" }

const makeDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "process-metrics-" })
)

const connect = (address: string) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const [host, port] = address.split(":")
      const socket = net.connect(Number(port), host!, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe("metrics of the process", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("its versions, start, CPU time, descriptors, their limit, and memory by kind", () =>
      Effect.gen(function* () {
        const bucket = yield* makeDirectory
        const path = `${yield* makeDirectory}/main.lmdb`
        const config = {
          ...Daemon.quick,
          instance: "a",
          lmdbs: { main: Daemon.nativeFile(path) },
          storage: Daemon.folderBucket(bucket),
          http: { address: "127.0.0.1:0" }
        }
        const daemon = yield* Daemon.start({ args: ["sync"], config, under: ["prlimit", "--nofile=1999:1999"] })
        const address = yield* addressOf(daemon)
        const until = (
          name: string,
          labels: Readonly<Record<string, string>>,
          ok: (value: number | undefined) => boolean
        ) => untilMetric(address, name, labels, ok)
        const { exposition: before } = yield* until("process_max_fds", {}, is(1_999))
        const versions = { version: packageJson.version, node: process.version }
        assert.strictEqual(valueIn(before, "lightningstream_build_info", versions), 1)
        assert.strictEqual((yield* healthOf(address)).metadata["version"], packageJson.version)
        assert.include((yield* get(address, "/")).body, `, version ${packageJson.version}, started `)
        assert.approximately(
          valueIn(before, "process_start_time_seconds")!,
          (performance.timeOrigin + performance.now()) / 1e3,
          60
        )
        const memory = (kind: string) => valueIn(before, "lightningstream_process_memory_bytes", { kind })!
        assert.strictEqual(memory("resident"), valueIn(before, "process_resident_memory_bytes"))
        assert.isBelow(memory("anonymous"), memory("resident"))
        assert.isBelow(memory("heap_used"), memory("heap"))
        assert.isAbove(memory("external"), 0)

        yield* until("process_cpu_seconds_total", {}, above(valueIn(before, "process_cpu_seconds_total")!))
        const files = valueIn(before, "process_open_fds")!
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.forEach(Array.from({ length: 30 }), () => connect(address))
            yield* until("process_open_fds", {}, above(files + 29))
          })
        )
        yield* until("process_open_fds", {}, (value) => value! < files + 15)

        // The map of the LMDB, which was not there before.
        const virtual = valueIn(before, "process_virtual_memory_bytes")!
        const application = yield* Application.open(path, 2 ** 32)
        yield* application.put("first", "value", 1n)
        yield* until("process_virtual_memory_bytes", {}, above(virtual + 2 ** 32))
      })
    )

    it.effect("the delay of its event loop: the process was stopped for a second", () =>
      Effect.gen(function* () {
        const a = yield* startSide("a", Daemon.folderBucket(yield* makeDirectory))
        yield* a.until("lightningstream_ready", main, is(1))
        const delay = "lightningstream_event_loop_delay_seconds"
        const { exposition: before } = yield* a.until(delay, {}, above(-1))
        // What a busy machine has held up already does not count.
        const stopped = valueIn(before, delay, { quantile: "1" })! + 2
        process.kill(a.daemon.pid, "SIGSTOP")
        yield* Effect.sleep(1_000 * stopped)
        process.kill(a.daemon.pid, "SIGCONT")
        yield* a.until(delay, { quantile: "1" }, above(stopped - 0.1))
        // Of a hundred looks, which take two seconds, it is one.
        yield* a.until(delay, { quantile: "0.99" }, (value) => value! < stopped - 0.1)
      })
    )

    it.effect(
      "our oldest read transaction: there is one from which on changed keys are known, unless nobody asks for them",
      () =>
        Effect.gen(function* () {
          const bucket = yield* makeDirectory
          const path = `${yield* makeDirectory}/main.lmdb`
          const application = yield* Application.open(path)
          yield* application.put("first", "value", 1n)
          const config = {
            ...Daemon.quick,
            instance: "a",
            lmdbs: { main: { path, options: { no_subdir: true } } },
            storage: Daemon.folderBucket(bucket),
            http: { address: "127.0.0.1:0" }
          }
          const address = yield* addressOf(yield* Daemon.start({ args: ["sync"], config }))
          yield* untilMetric(address, "lightningstream_ready", main, is(1))
          yield* untilMetric(address, "lightningstream_lmdb_oldest_read_seconds", main, above(3))
          // A copy begins another one. Statistics are read once a second.
          yield* application.put("first", "another", 2n)
          yield* untilMetric(address, "lightningstream_lmdb_oldest_read_seconds", main, (value) => value! < 2)

          const native = yield* startSide("b", Daemon.folderBucket(bucket), { delta_snapshots: "never" })
          yield* native.until("lightningstream_lmdb_oldest_read_seconds", main, is(0))
        })
    )

    it.effect("a snapshot that is too old to be merged is quarantined as stale", () =>
      Effect.gen(function* () {
        const bucket = yield* makeDirectory
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${bucket}/main__old__20200101-000000-000000000__GX.pb.gz`, "of another time")
        const sweeper = { enabled: true, retention_days: 30 }
        const a = yield* startSide("a", Daemon.folderBucket(bucket), { sweeper })
        yield* a.until("lightningstream_quarantines_total", { ...main, reason: "stale" }, is(1))
        yield* a.until("lightningstream_quarantined_snapshots", main, is(1))
      })
    )
  })
})
