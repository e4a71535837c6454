/** The memory of `verify` does not grow with the size of what it compares. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Daemon from "../support/Daemon.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const valueBytes = 300
const mapSize = 2 ** 30
const externalMax = 38_000_000

/** Of the same content: the LMDB, and the newest snapshots of two instances. */
const side = Effect.fnUntraced(function* (entries: number) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "verify-memory-" })
  const path = `${directory}/main.lmdb`
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const application = yield* LmdbApplication.make({ path, mapSize })
  const dbi = "records"
  yield* application.write({ do: "create", dbi, flags: 0 }, { do: "fill", dbi, entries, bytes: valueBytes })
  yield* application.kill
  const config = {
    ...Daemon.quick,
    instance: "a",
    lmdbs: { main: Daemon.shadowFile(path) },
    storage: Daemon.folderBucket(bucket)
  }
  const sent = yield* Daemon.run({ config, args: ["sync", "--only-once"] })
  assert.strictEqual(sent.code, 0, sent.text)
  const [name] = yield* fs.readDirectory(bucket)
  yield* fs.copyFile(`${bucket}/${name}`, `${bucket}/main__b__20250101-000000-000000000__GX.pb.gz`)
  return config
})

/**
 * Highest anonymous memory of the command, and highest memory outside of V8's heap of the thread that compares, in
 * bytes.
 */
const peaksOf = Effect.fnUntraced(function* (entries: number) {
  const fs = yield* FileSystem.FileSystem
  const recorded = yield* fs.makeTempFileScoped()
  const command = yield* Daemon.start({
    config: yield* side(entries),
    args: ["verify"],
    patience: "2 minutes",
    env: {
      NODE_OPTIONS: `--import ${pathOf("../processes/external-memory.process.ts")}`,
      EXTERNAL_MEMORY: recorded
    }
  })
  let peak = 0
  const sample = fs.readFileString(`/proc/${command.pid}/status`).pipe(
    Effect.map((status) => void (peak = Math.max(peak, Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024))),
    Effect.catch(() => Effect.void)
  )
  const code = yield* Effect.raceFirst(command.ended, Effect.forever(Effect.andThen(sample, Effect.sleep("10 millis"))))
  assert.strictEqual(code, 0, command.text())
  assert.include(command.text(), `${entries} entries`)
  return { anonymous: peak, external: Number(yield* fs.readFileString(recorded)) }
}, Effect.scoped)

layer(NodeServices.layer, { excludeTestServices: true, timeout: "5 minutes" })("verify", (it) => {
  it.effect(
    "holds nothing of what it compares: twenty times as much content takes hardly more memory",
    () =>
      Effect.gen(function* () {
        const small = yield* peaksOf(20_000)
        const large = yield* peaksOf(400_000)
        // It is 1.2: the code of V8's compilers, and larger members. With the 120 MB of one snapshot it would be 3.
        assert.isBelow(
          large.anonymous / small.anonymous,
          1.5,
          `${small.anonymous} and ${large.anonymous} bytes of the process`
        )
        // It is 30 MB, of either size: the buffers of two readers. With a lazy collection of what was read it is 40 MB,
        // with members that are decompressed ahead 48 MB, and with members that are not released 41 MB.
        for (const { external } of [small, large]) assert.isBelow(external, externalMax, "bytes outside of V8's heap")
      }),
    300_000
  )
})
