/** A snapshot that was truncated in a real bucket: `verify`, `doctor` and the status page of the daemon all say so. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as Application from "../support/Application.ts"
import { bundle, runBundled } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { addressOf, get, healthOf } from "../support/HttpPages.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

describeWith("a truncated snapshot", await Swift.installed(), (installed) => {
  it.live("is named by verify, doctor and the status page; the older one of that instance is used", () =>
    Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const storage = yield* bucketOf("truncated")
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "truncated-" })
      const side = Effect.fnUntraced(function* (instance: string) {
        const path = `${directory}/${instance}.lmdb`
        const config = {
          ...Daemon.quick,
          instance,
          lmdbs: { main: Daemon.nativeFile(path) },
          storage,
          http: { address: "127.0.0.1:0" }
        }
        yield* fs.writeFileString(`${directory}/${instance}.yaml`, JSON.stringify(config))
        const application = yield* Application.open(path)
        const command = (...args: ReadonlyArray<string>) =>
          runBundled([...args, "-c", `${instance}.yaml`], { cwd: directory })
        return { application, command, config }
      })
      const [a, b] = [yield* side("a"), yield* side("b")]
      yield* a.application.put("of-a", "x", 5n)
      yield* b.application.put("of-b", "x", 5n)
      assert.strictEqual((yield* b.command("sync", "--only-once")).code, 0)
      yield* b.application.put("later", "x", 6n)
      assert.strictEqual((yield* b.command("sync", "--only-once")).code, 0)
      const name = (yield* b.command("snapshots", "list", "-t")).out.trim().split("\n").at(-1)!
      assert.strictEqual((yield* b.command("snapshots", "get", name)).code, 0)
      yield* fs.truncate(`${directory}/${name}`, Number((yield* fs.stat(`${directory}/${name}`)).size) - 9)
      const put = yield* b.command("snapshots", "put", "--force", name)
      assert.strictEqual(put.code, 0, put.err)

      const daemon = yield* Daemon.start({ config: a.config, args: ["sync"] })
      const address = yield* addressOf(daemon)
      yield* daemon.logged("Snapshot quarantined", ({ snapshot_name }) => snapshot_name === name)
      yield* daemon.logged("Initial sync complete")
      const page = (yield* get(address, "/")).body.replace(/<[^>]*>/g, "")
      assert.match(
        page,
        new RegExp(`quarantined [\\d.]+ m?s ago ?: ${name}: .*the gzip container is corrupt near byte \\d+`)
      )
      assert.include(Object.values((yield* healthOf(address)).warnings).join(), name)
      assert.deepStrictEqual(yield* a.application.records, { "of-a": "x", "of-b": "x" })

      const verified = yield* a.command("verify", "--grace", "1ms")
      assert.strictEqual(verified.code, 1, verified.err)
      assert.match(
        verified.out,
        new RegExp(`${name}\\n {4}NOT READABLE: the snapshot is corrupt: the gzip container .*\\nb .* main__b__`)
      )
      assert.include(verified.out, "\nthe LMDB here has all of b\n")
      const dry = yield* a.command("sync", "--dry-run")
      assert.strictEqual(dry.code, 1, dry.err)
      assert.match(
        dry.out,
        new RegExp(`NOT from b \\(${name}\\): .* corrupt.*\\n {4}from b \\(main__b__.*: nothing new`)
      )
      const examined = yield* a.command("doctor")
      assert.strictEqual(examined.code, 1, examined.err)
      assert.match(examined.out, new RegExp(`^error {4}snapshots of main: ${name} is corrupt: the gzip container`, "m"))
      assert.match(examined.out, /^ok {7}LMDB of main: open in process \d+ /m)
      assert.lengthOf(
        examined.out.split("\n").filter((line) => line.startsWith("error")),
        1
      )
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Swift.layer(installed), NodeServices.layer)))
  )
})
