/** The memory of `verify` does not grow with the size of what it compares. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Daemon from "../support/Daemon.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"

const valueBytes = 300
const mapSize = 2 ** 30

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

/** Highest anonymous memory of the command, in bytes. */
const peakOf = Effect.fnUntraced(function* (entries: number) {
  const fs = yield* FileSystem.FileSystem
  const command = yield* Daemon.start({ config: yield* side(entries), args: ["verify"] })
  let peak = 0
  const sample = fs.readFileString(`/proc/${command.pid}/status`).pipe(
    Effect.map((status) => void (peak = Math.max(peak, Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024))),
    Effect.catch(() => Effect.void)
  )
  const code = yield* Effect.raceFirst(command.ended, Effect.forever(Effect.andThen(sample, Effect.sleep("10 millis"))))
  assert.strictEqual(code, 0, command.text())
  assert.include(command.text(), `${entries} entries`)
  return peak
}, Effect.scoped)

layer(NodeServices.layer, { excludeTestServices: true })("verify", (it) => {
  it.effect("holds nothing of what it compares: twenty times as much content takes hardly more memory", () =>
    Effect.gen(function* () {
      const small = yield* peakOf(20_000)
      const large = yield* peakOf(400_000)
      // It is 1.2: the code of V8's compilers, and larger members. With the 120 MB of one snapshot it would be 3.
      assert.isBelow(large / small, 1.5, `${small} and ${large} bytes`)
    })
  )
})
