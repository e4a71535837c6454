/** What a person sees on a terminal while `dump` and a first load take their time. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { bundle, bundled, execute, workspace } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { listing, serve } from "../support/servers/HandMadeServer.ts"

/** Of util-linux: runs a line of a shell on a terminal of its own, and prints what that shows. */
const onTerminal = (line: string, cwd: string) => execute(["/usr/bin/script", "-qec", line, "/dev/null"], { cwd })

const command = (...args: ReadonlyArray<string>) => [process.execPath, bundled, ...args].join(" ")

const erase = "\r\u001b[K"

layer(NodeServices.layer, { excludeTestServices: true })("progress", (it) => {
  it.effect(
    "dump shows how many entries it has printed, while its reader is slow; nothing where there is no terminal",
    () =>
      Effect.gen(function* () {
        yield* bundle
        const fs = yield* FileSystem.FileSystem
        const { directory } = yield* workspace((directory) => ({
          lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`) },
          storage: Daemon.folderBucket(`${directory}/bucket`)
        }))
        const application = yield* LmdbApplication.make({ path: `${directory}/main.lmdb`, mapSize: 2 ** 24 })
        const dbi = "records"
        yield* application.write({ do: "create", dbi, flags: 0 }, { do: "fill", dbi, entries: 20_000, bytes: 100 })
        const slowly = "| (sleep 4; cat > /dev/null)"
        const { code, out } = yield* onTerminal(`${command("dump")} ${slowly}`, directory)
        assert.strictEqual(code, 0, out)
        assert.match(out, /Dumping main: [1-9][\d,]* of 20,000 entries \(\d+%\), [\d,]+\/s/)
        assert.isTrue(out.endsWith(erase), JSON.stringify(out.slice(-100)))
        const silent = yield* onTerminal(`${command("dump")} 2> err ${slowly}`, directory)
        assert.deepStrictEqual([silent.out, yield* fs.readFileString(`${directory}/err`)], ["", ""])
      })
  )

  it.effect("a first load with --only-once shows its bytes, and lines of the log begin on a line of their own", () =>
    Effect.gen(function* () {
      yield* bundle
      const name = "main__b__20250101-000000-000000000__GX.pb.gz"
      const size = 2_000_000
      const slow = yield* serve((request, response) => {
        if (request.url!.includes("list-type=2"))
          return void response.end(listing(name).replace("<Size>1<", `<Size>${size}<`))
        if (!request.url!.includes(name)) return void response.writeHead(404).end()
        response.writeHead(200, { "content-length": String(size), etag: '"e"' }).write(Buffer.alloc(size / 2))
        // @effect-diagnostics-next-line globalTimers:off -- within Node's own server
        setTimeout(() => response.end(Buffer.alloc(size / 2)), 4_000)
      })
      const { directory } = yield* workspace((directory) => ({
        ...Daemon.quick,
        lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
        storage: {
          type: "s3",
          options: { endpoint_url: slow.endpoint_url, access_key: "a", secret_key: "s", bucket: "bucket" }
        }
      }))
      const { code, out } = yield* onTerminal(command("receive", "--only-once", "-i", "a"), directory)
      // What is downloaded is no snapshot.
      assert.strictEqual(code, 1, out)
      assert.match(out, /Loading snapshots: 977 KiB of 1\.9 MiB \(50%\), /)
      const shown = out.split(erase).filter((part) => part.includes("Loading snapshots: "))
      assert.isAtLeast(shown.length, 5)
      assert.deepStrictEqual(
        shown.filter((part) => part.includes("{")),
        [],
        "a line of the log begins behind the progress"
      )
    })
  )
})
