/**
 * Buckets that cannot be used, or not at the moment: the daemon says so once, goes on, and recovers by itself; nothing
 * is lost.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- bytes that cannot be compressed, in one plain call
import { randomBytes } from "node:crypto"
import { read } from "../support/fixtures/Golden.ts"
import { object } from "../support/fixtures/Snapshots.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { fullDisk, leftBytes, makeRoom, onFullDisk } from "../support/Confinement.ts"
import * as FaultyProxy from "../support/servers/FaultyProxy.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "bad-storage-" })
)

const count = (daemon: Daemon.Daemon, msg: string) => daemon.log.filter((line) => line.msg.startsWith(msg)).length

const installed = await Swift.installed()

/** An application, and the daemon beside it, named alike. */
const startSide = Effect.fnUntraced(function* (instance: string, storage: object) {
  const directory = yield* temporaryFolder
  const path = `${directory}/main.lmdb`
  const application = yield* Application.open(path)
  yield* application.put(instance, "first", 1n)
  const daemon = yield* Daemon.start({
    args: ["sync"],
    config: { ...Daemon.quick, instance, lmdbs: { main: Daemon.nativeFile(path) }, storage }
  })
  return { application, daemon, directory }
})

type Side = Effect.Success<ReturnType<typeof startSide>>

const arrives = ({ application, daemon }: Side, key: string, value: string) =>
  eventually(
    `${key} = ${value} arrives`,
    Effect.map(application.records, (records) => (records[key] === value ? value : undefined)),
    daemon.text
  )

describeWith("an S3 bucket", installed, (folderOfSwift) => {
  layer(Swift.layer(folderOfSwift).pipe(Layer.provideMerge(NodeServices.layer)), { excludeTestServices: true })(
    (it) => {
      it.effect(
        "whose server hangs, resets connections, or answers 500 or 503: both daemons go on, say so once an outage, and catch up",
        () =>
          Effect.gen(function* () {
            const proxy = yield* FaultyProxy.make((yield* Swift.Swift).port)
            const storage = yield* bucketOf("faults", { endpoint_url: proxy.endpoint_url, client_timeout: "1s" })
            const a = yield* startSide("a", storage)
            const b = yield* startSide("b", storage)
            yield* arrives(a, "b", "first")
            yield* arrives(b, "a", "first")
            for (const [i, fault] of (["hang", "reset", 500, 503] as const).entries()) {
              const from = a.daemon.log.length
              const fromB = b.daemon.log.length
              yield* proxy.set(fault)
              yield* a.application.put("a", `during ${fault}`, BigInt(10 + i))
              const problem = yield* a.daemon.logged("Cannot store a snapshot", undefined, from)
              assert.include(problem.error!, `bucket "faults" at ${proxy.endpoint_url}`)
              yield* b.daemon.logged("Cannot list snapshots", undefined, fromB)
              // A few attempts more, silently.
              const before = proxy.faults()
              yield* eventually(
                "there were more attempts",
                Effect.sync(() => (proxy.faults() > before + 4 ? true : undefined))
              )
              yield* proxy.set("none")
              yield* arrives(b, "a", `during ${fault}`)
              yield* a.daemon.logged("Recovered: can store a snapshot again", undefined, from)
              assert.strictEqual(count(a.daemon, "Cannot store a snapshot"), i + 1, a.daemon.text())
              assert.isAtMost(count(a.daemon, "Cannot list snapshots"), i + 1, a.daemon.text())
            }
            yield* b.application.put("b", "last", 100n)
            yield* arrives(a, "b", "last")
          }),
        180_000
      )

      it.effect("whose downloads break off in the middle: they are tried again, never taken for corrupt", () =>
        Effect.gen(function* () {
          const proxy = yield* FaultyProxy.make((yield* Swift.Swift).port)
          const a = yield* startSide("a", yield* bucketOf("cut"))
          yield* a.daemon.logged("Initial sync complete")
          yield* proxy.set("cut")
          const b = yield* startSide("b", yield* bucketOf("cut", { endpoint_url: proxy.endpoint_url }))
          const problem = yield* b.daemon.logged("Cannot load a snapshot")
          assert.match(problem.error!, /main__a__/)
          yield* proxy.set("none")
          yield* arrives(b, "a", "first")
          yield* b.daemon.logged("Recovered: can load a snapshot again")
          assert.strictEqual(count(b.daemon, "Snapshot quarantined"), 0)
        })
      )

      for (const fault of ["page", "page for objects"] as const) {
        it.effect(
          `whose server answers with a ${fault}: our own snapshot is waited for, and nothing is lost`,
          () =>
            Effect.gen(function* () {
              const proxy = yield* FaultyProxy.make((yield* Swift.Swift).port)
              const storage = yield* bucketOf(`lost-${fault.length}`, { endpoint_url: proxy.endpoint_url })
              const before = yield* startSide("a", storage)
              yield* before.daemon.logged("Stored snapshot")
              yield* before.daemon.signal("SIGTERM")
              yield* before.daemon.ended
              // The LMDB was lost, and the application has begun a new one: the old data is in the bucket alone.
              yield* proxy.set(fault)
              const directory = yield* temporaryFolder
              const path = `${directory}/main.lmdb`
              const application = yield* Application.open(path)
              yield* application.put("new", "data", 2n)
              const daemon = yield* Daemon.start({
                args: ["sync"],
                config: { ...Daemon.quick, instance: "a", lmdbs: { main: Daemon.nativeFile(path) }, storage }
              })
              const what = fault === "page" ? "list snapshots" : "load a snapshot"
              const problem = yield* daemon.logged(`Cannot ${what}`)
              assert.match(problem.error!, /\(Bad(?:Listing|Response)\)/)
              const faults = proxy.faults()
              yield* eventually(
                "there were more attempts",
                Effect.sync(() => (proxy.faults() > faults + 4 ? true : undefined))
              )
              for (const msg of ["Initial sync complete", "Stored snapshot", "Snapshot quarantined"])
                assert.strictEqual(count(daemon, msg), 0, daemon.text())
              yield* proxy.set("none")
              yield* daemon.logged(`Recovered: can ${what} again`)
              yield* daemon.logged("Initial sync complete")
              assert.deepStrictEqual(yield* application.records, { a: "first", new: "data" })
              const other = yield* startSide("b", storage)
              yield* arrives(other, "a", "first")
              yield* arrives(other, "new", "data")
            }),
          180_000
        )
      }

      it.effect("that does not exist: an error at once with what to do, and a recovery when it is made", () =>
        Effect.gen(function* () {
          const a = yield* startSide("a", yield* bucketOf("missing", { create_bucket: false }))
          const problem = yield* a.daemon.logged("Cannot list snapshots")
          assert.strictEqual(problem.level, "error")
          assert.match(problem.error!, /bucket "missing" at http.*NoSuchBucket.*create_bucket/)
          // Another instance makes it.
          const b = yield* startSide("b", yield* bucketOf("missing"))
          yield* arrives(b, "a", "first")
          yield* arrives(a, "b", "first")
          assert.strictEqual(count(a.daemon, "Cannot list snapshots"), 1)
        })
      )

      it.effect(
        "with wrong credentials: an error at once that names the key's setting and not the key, and a recovery when the key file is changed",
        () =>
          Effect.gen(function* () {
            const fs = yield* FileSystem.FileSystem
            const keys = yield* temporaryFolder
            const right = (yield* bucketOf("keys")).options
            yield* fs.writeFileString(`${keys}/access`, `${right.access_key}\n`)
            yield* fs.writeFileString(`${keys}/secret`, "not-the-secret\n")
            const { access_key: _access, secret_key: _secret, ...options } = right
            const wrong = {
              ...options,
              access_key_file: `${keys}/access`,
              secret_key_file: `${keys}/secret`,
              secrets_refresh_interval: "1s"
            }
            const a = yield* startSide("a", { type: "s3", options: wrong })
            const problem = yield* a.daemon.logged("Cannot list snapshots")
            assert.strictEqual(problem.level, "error")
            assert.match(problem.error!, /bucket "keys" at http.*secret_key/)
            yield* fs.writeFileString(`${keys}/secret`, `${right.secret_key}\n`)
            yield* a.daemon.logged("Stored snapshot")
            assert.notInclude(a.daemon.text(), "not-the-secret")
            assert.notInclude(a.daemon.text(), right.secret_key)
            assert.strictEqual(count(a.daemon, "Cannot list snapshots"), 1)
          })
      )

      it.effect(
        "with keys of a profile that are rotated while it runs: the new ones are read from the file",
        () =>
          Effect.gen(function* () {
            const fs = yield* FileSystem.FileSystem
            const directory = yield* temporaryFolder
            const { access_key, secret_key, ...options } = (yield* bucketOf("profile")).options
            const write = (secret: string) =>
              fs.writeFileString(
                `${directory}/credentials`,
                `[default]\naws_access_key_id = ${access_key}\naws_secret_access_key = ${secret}\n`
              )
            const application = yield* Application.open(`${directory}/main.lmdb`)
            yield* application.put("a", "first", 1n)
            yield* write("not-the-secret")
            const daemon = yield* Daemon.start({
              args: ["sync"],
              env: { AWS_SHARED_CREDENTIALS_FILE: `${directory}/credentials`, AWS_EC2_METADATA_DISABLED: "true" },
              config: {
                ...Daemon.quick,
                instance: "a",
                lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`) },
                storage: { type: "s3", options }
              }
            })
            yield* daemon.logged("Cannot list snapshots")
            yield* write(secret_key)
            yield* daemon.logged("Recovered: can list snapshots again")
            yield* daemon.logged("Stored snapshot")
          }),
        180_000
      )
    }
  )
})

describeWith("a spool", await fullDisk(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("on a full disk: sending and loading wait, each says so once, and both are done when there is room", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporaryFolder
        for (const name of ["spool", "bucket"]) yield* fs.makeDirectory(`${directory}/${name}`)
        const snapshot = yield* read("ok/native-pdns.pb.gz")
        assert.isAbove(snapshot.length, leftBytes)
        yield* fs.writeFile(`${directory}/bucket/main__other__20250101-000000-000000000__GX.pb.gz`, snapshot)
        const size = 8 * Application.megabyte
        const application = yield* Application.open(`${directory}/main.lmdb`, size)
        yield* application.put("random", randomBytes(4 * leftBytes), 1n)
        const daemon = yield* Daemon.start({
          under: onFullDisk(`${directory}/spool`),
          args: ["sync"],
          config: {
            ...Daemon.quick,
            instance: "ours",
            spool_directory: `${directory}/spool`,
            spool_memory: "1KB",
            lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`) },
            storage: Daemon.folderBucket(`${directory}/bucket`)
          }
        })
        for (const what of ["Cannot make a snapshot", "Cannot load a snapshot"]) {
          const { error } = yield* daemon.logged(what)
          assert.match(error!, /ENOSPC/)
          assert.include(error!, `${directory}/spool`)
        }
        yield* makeRoom(daemon.pid, `${directory}/spool`)
        yield* daemon.logged("Stored snapshot")
        yield* daemon.logged("Loaded remote update")
        for (const what of ["Cannot make a snapshot", "Cannot load a snapshot"])
          assert.strictEqual(count(daemon, what), 1, daemon.text())

        // The last snapshot sent is kept there only as long as nobody needs the room: these two have not room beside
        // each other.
        const from = daemon.log.length
        yield* application.put("random", randomBytes(600_000), 2n)
        yield* daemon.logged("Stored snapshot", undefined, from)
        const large = object({ records: [["large", 3n, randomBytes(600_000).toString("base64")]] })
        const name = `${directory}/bucket/main__other__20250102-000000-000000000__GX.pb.gz`
        yield* fs.writeFile(`${name}.tmp`, large)
        yield* fs.rename(`${name}.tmp`, name)
        yield* daemon.logged("Cannot load a snapshot", undefined, from)
        yield* daemon.logged("Loaded remote update", undefined, from)
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
      })
    )
  })
})
