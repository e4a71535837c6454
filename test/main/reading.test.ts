/**
 * Commands that only read make nothing: no bucket, no marker, no directory. What the programs do,
 * test/programs/daemon/receive-only.test.ts shows.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { errorXml, listing, serve } from "../support/servers/HandMadeServer.ts"
import * as Application from "../support/Application.ts"
import { folderBucket, nativeFile, quick, start } from "../support/Daemon.ts"
import { run, workspace } from "../support/Command.ts"

layer(NodeServices.layer, { excludeTestServices: true })("commands that only read", (it) => {
  it.effect("send no request that writes to an S3 server, whatever the file says: sync does", () =>
    Effect.gen(function* () {
      let methods = new Set<string>()
      const server = yield* serve((request, response) => {
        methods.add(request.method!)
        request.resume().on("end", () => {
          if (request.url!.includes("list-type=2")) response.end(listing())
          else if (request.method === "GET") response.writeHead(404).end(errorXml("NoSuchKey"))
          else response.writeHead(200, { etag: '"e"' }).end()
        })
      })
      const { file, directory } = yield* workspace((directory) => ({
        ...quick,
        lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
        storage: {
          type: "s3",
          cleanup: { enabled: true },
          options: {
            endpoint_url: server.endpoint_url,
            access_key: "a",
            secret_key: "s",
            bucket: "bucket",
            create_bucket: true,
            use_update_marker: true
          }
        }
      }))
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("ours", "1", 1n)
      for (const [args, allowed] of [
        [["snapshots", "list"], ["GET"]],
        [["receive", "--only-once"], ["GET"]],
        [
          ["sync", "--only-once"],
          ["GET", "PUT"]
        ]
      ] as const) {
        methods = new Set()
        const { code, err } = yield* run([...args, "-c", file])
        assert.strictEqual(code, 0, err)
        assert.deepStrictEqual<ReadonlyArray<string>>([...methods].toSorted(), allowed, args.join(" "))
      }
    })
  )

  it.effect("make no directory that is not there: receive waits for it, and says so", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "reading-" })
      const bucket = `${directory}/bucket`
      const daemon = yield* start({
        args: ["receive"],
        config: {
          ...quick,
          lmdbs: { main: nativeFile(`${directory}/main.lmdb`, { create: true }) },
          storage: folderBucket(bucket)
        }
      })
      const { error } = yield* daemon.logged("Cannot list snapshots")
      assert.match(error!, /directory is gone.*Check root_path/)
      assert.isFalse(yield* fs.exists(bucket))
      // As soon as somebody mounts it, it goes on.
      yield* fs.makeDirectory(bucket)
      yield* daemon.logged("Initial sync complete")
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0, daemon.text())
    })
  )
})
