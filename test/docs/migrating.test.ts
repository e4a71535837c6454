/**
 * A server migrates from Lightning Stream and back, as docs/migrating.md has it: with the LMDB and the bucket that
 * Lightning Stream 1.0 left. Nothing changes on disk, and what is added to the bucket is what Lightning Stream reads.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { gunzipSync } from "node:zlib"
import * as Daemon from "../support/Daemon.ts"
import { decode } from "../support/fixtures/DecodedSnapshot.ts"
import { read, readMessage, snapshots } from "../support/fixtures/Golden.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import { describeWith } from "../support/servers/RealServers.ts"

/** Snapshots of the instance `vec-a`, each with the LMDB of which Lightning Stream made it. */
const cases = [
  { name: "native-pdns", isNative: true, options: {} },
  { name: "shadow-plain", isNative: false, options: {} },
  { name: "shadow-dupsort", isNative: false, options: { dupsort_hack: true } }
]

const goldenNamed = (name: string) =>
  Effect.map(snapshots, (all) => {
    const found = all.find((snapshot) => snapshot.name === name)
    const more = found as unknown as { readonly objectName: string; readonly source: { readonly lmdb: string } }
    return { path: found!.path, objectName: more.objectName, lmdb: more.source.lmdb }
  })

describeWith("a server that migrates from Lightning Stream", await Pdns.installed(), (tools) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    for (const { isNative, name, options } of cases) {
      it.effect(`and back keeps every byte of its entries, and sends what it had: ${name}`, () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const { lmdb, objectName, path } = yield* goldenNamed(name)
          const directory = yield* fs.makeTempDirectoryScoped({ prefix: "migrating-" })
          const [file, bucket] = [`${directory}/main.mdb`, `${directory}/bucket`]
          yield* fs.writeFile(file, yield* readMessage(lmdb))
          yield* fs.makeDirectory(bucket)
          yield* fs.writeFile(`${bucket}/${objectName}`, yield* read(path))
          const before = yield* Pdns.mdbDump(tools, file)
          assert.isNotEmpty(Object.values(before).flat())

          const database = isNative ? Daemon.nativeFile(file) : Daemon.shadowFile(file)
          const daemon = yield* Daemon.start({
            args: ["sync"],
            config: {
              ...Daemon.quick,
              instance: "vec-a",
              lmdbs: { main: { ...database, ...options } },
              storage: Daemon.folderBucket(bucket)
            }
          })
          yield* daemon.logged("Initial sync complete")
          yield* daemon.logged("Stored snapshot")
          yield* daemon.signal("SIGTERM")
          assert.strictEqual(yield* daemon.ended, 0, daemon.text())

          // The transaction ids of all values, and the shadow DBIs with theirs, included.
          assert.deepStrictEqual(yield* Pdns.mdbDump(tools, file), before)
          const added = (yield* fs.readDirectory(bucket)).filter((object) => object !== objectName)
          assert.lengthOf(added, 1)
          assert.match(added[0]!, /^main__vec-a__\d{8}-\d{6}-\d{9}__G\w+\.pb\.gz$/)
          const sent = decode(gunzipSync(yield* fs.readFile(`${bucket}/${added[0]}`)))
          const original = decode(yield* readMessage(path))
          assert.deepStrictEqual(sent.dbis, original.dbis)
          assert.deepStrictEqual([sent.formatVersion, sent.compatVersion], [3, 1])
        })
      )
    }
  })
})
