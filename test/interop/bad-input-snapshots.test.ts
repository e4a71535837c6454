/** Snapshots in the bucket that are no good, and snapshots of an instance name that is used twice. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { read } from "../support/fixtures/Golden.ts"
import * as Application from "../support/Application.ts"
import { type Daemon, folderBucket, nativeFile, quick, start } from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "bad-snapshots-" })
)

/** Of that second. */
const nameOf = (instance: string, second: number) =>
  `main__${instance}__20250101-0000${String(second).padStart(2, "0")}-000000000__GX.pb.gz`

const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 0x10 : byte))
const truncated = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 100)
const tooLong = (bytes: Uint8Array) => Uint8Array.from([...bytes, ...Buffer.from("more than was sent")])

/** As `mv` would put it there: never seen half. */
const drop = Effect.fnUntraced(function* (bucket: string, name: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFile(`${bucket}/${name}.tmp`, bytes)
  yield* fs.rename(`${bucket}/${name}.tmp`, `${bucket}/${name}`)
})

const asides = (daemon: Daemon) =>
  daemon.log.filter(({ msg }) => msg.startsWith("Snapshot quarantined")).map(({ snapshot_name }) => snapshot_name)

const merged = (daemon: Daemon, instance: string, second: number) =>
  daemon.logged(
    "Loaded remote update",
    (line) =>
      line["snapshot_instance"] === instance &&
      String(line["timestamp"]).includes(`-0000${String(second).padStart(2, "0")}-`)
  )

layer(NodeServices.layer, { excludeTestServices: true })("a bucket", (it) => {
  it.effect(
    "with truncated, bit-flipped, over-long and unknown snapshots: each is quarantined once, the next-newest of its instance is used",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporaryFolder
        const bucket = `${directory}/bucket`
        yield* fs.makeDirectory(bucket)
        const big = yield* read("ok/native-pdns.pb.gz")
        const spoilt = {
          truncated: truncated(big),
          flipped: flipped(big),
          toolong: tooLong(big),
          newer: yield* read("bad/format-4-compat-4.pb.gz")
        }
        const old = { truncated: "v1-native", flipped: "v2-native", toolong: "v3-old-native", newer: "native-small" }
        for (const [instance, bytes] of Object.entries(spoilt)) {
          yield* drop(bucket, nameOf(instance, 1), yield* read(`ok/${old[instance as keyof typeof old]}.pb.gz`))
          yield* drop(bucket, nameOf(instance, 2), bytes)
        }
        yield* drop(bucket, nameOf("good", 1), yield* read("ok/native-empty-dbis.pb.gz"))
        const path = `${directory}/db/main.lmdb`
        const daemon = yield* start({
          args: ["receive"],
          config: {
            ...quick,
            lmdbs: { main: nativeFile(path, { create: true, map_size: "8MB" }) },
            storage: folderBucket(bucket)
          }
        })
        yield* daemon.logged("Initial sync complete")
        for (const instance of [...Object.keys(spoilt), "good"]) yield* merged(daemon, instance, 1)
        const application = yield* Application.open(path, 8 * Application.megabyte)
        for (const [dbi, entries] of [
          ["native8", 6],
          ["nat", 7],
          ["plcvd", 16]
        ] as const) {
          assert.lengthOf((yield* application.send({ do: "list", dbi })).entries, entries, dbi)
        }
        for (const instance of Object.keys(spoilt)) {
          const { error, level } = yield* daemon.logged(
            "Snapshot quarantined",
            (line) => line["snapshot_name"] === nameOf(instance, 2)
          )
          assert.strictEqual(level, "error")
          assert.match(error!, instance === "newer" ? /refused/ : /corrupt/)
        }

        // A newer one that is good, and a bad one that is replaced by a good one of the same name, are taken.
        yield* drop(bucket, nameOf("truncated", 3), big)
        yield* merged(daemon, "truncated", 3)
        yield* drop(bucket, nameOf("flipped", 2), big)
        yield* merged(daemon, "flipped", 2)
        assert.sameMembers(
          asides(daemon),
          Object.keys(spoilt).map((instance) => nameOf(instance, 2))
        )
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
      })
  )

  it.effect("whose only snapshot is no good: --only-once ends with 1 and names it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporaryFolder
      yield* fs.makeDirectory(`${directory}/bucket`)
      yield* drop(`${directory}/bucket`, nameOf("other", 1), truncated(yield* read("ok/native-small.pb.gz")))
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("ours", "1", 1n)
      const daemon = yield* start({
        args: ["sync", "--only-once"],
        config: {
          ...quick,
          instance: "ours",
          lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
          storage: folderBucket(`${directory}/bucket`)
        }
      })
      assert.strictEqual(yield* daemon.ended, 1)
      assert.deepStrictEqual(asides(daemon), [nameOf("other", 1)])
      // What could go on went on.
      assert.isDefined(
        daemon.log.find(({ msg }) => msg === "Stored snapshot"),
        daemon.text()
      )
      assert.deepStrictEqual(yield* application.records, { ours: "1" })
    })
  )

  it.effect("in which our own newest snapshot is of a newer version: stays, and stores nothing over it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporaryFolder
      yield* fs.makeDirectory(`${directory}/bucket`)
      yield* drop(`${directory}/bucket`, nameOf("ours", 1), yield* read("bad/format-4-compat-4.pb.gz"))
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("ours", "1", 1n)
      const daemon = yield* start({
        args: ["sync"],
        config: {
          ...quick,
          instance: "ours",
          lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
          storage: folderBucket(`${directory}/bucket`)
        }
      })
      yield* drop(`${directory}/bucket`, nameOf("other", 1), yield* read("ok/native-small.pb.gz"))
      yield* merged(daemon, "other", 1)
      const blocked = yield* daemon.logged("our own newest snapshot")
      assert.include(blocked.msg, nameOf("ours", 1))
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 1)
      yield* daemon.logged("Nothing was sent: our own newest snapshot is refused")
      assert.sameMembers(yield* fs.readDirectory(`${directory}/bucket`), [nameOf("other", 1), nameOf("ours", 1)])
    })
  )

  it.effect("that two instances of one name share: each is warned, and both hold the changes of both", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryFolder
      const startOne = Effect.fnUntraced(function* (name: string) {
        const path = `${directory}/${name}.lmdb`
        const application = yield* Application.open(path)
        yield* application.put(name, "before", 1n)
        const config = {
          ...quick,
          instance: "same",
          lmdbs: { main: nativeFile(path) },
          storage: folderBucket(`${directory}/bucket`)
        }
        const daemon = yield* start({ args: ["sync"], config })
        yield* daemon.logged("Initial sync complete")
        return { application, daemon }
      })
      const a = yield* startOne("a")
      const b = yield* startOne("b")
      yield* a.application.put("a", "after", 2n)
      yield* b.application.put("b", "after", 2n)
      for (const { application, daemon } of [a, b]) {
        yield* eventually(
          "both changes are there",
          Effect.map(application.records, (records) =>
            records["a"] === "after" && records["b"] === "after" ? records : undefined
          ),
          daemon.text
        )
        const warning = yield* daemon.logged("Foreign snapshot under our instance name")
        assert.strictEqual(warning.level, "warning")
        assert.match(String(warning["snapshot_name"]), /^main__same__/)
      }
    })
  )
})
