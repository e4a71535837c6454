/**
 * Snapshots made by the original, three generations of it, merged by our command into an LMDB that is not there yet,
 * and read back by stock LMDB.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a digest that is fed piece by piece
import { createHash } from "node:crypto"
import { type GoldenSnapshot, read, readJson, snapshots } from "../support/fixtures/Golden.ts"
import { contentOf, type NativeEntry } from "../support/Application.ts"
import { folderBucket, nativeFile, quick, run } from "../support/Daemon.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import { describeWith } from "../support/servers/RealServers.ts"

interface GoldenDbis extends ReadonlyArray<{
  readonly name: string
  readonly entries: ReadonlyArray<{
    readonly key: string
    readonly value: string
    readonly timestampNano: string
    readonly flags: number
  }>
}> {}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** As the manifest defines it. */
const digest = (entries: ReadonlyArray<NativeEntry>) => {
  const hash = createHash("sha256")
  for (const { isDeleted, timestampNano, ...bytes } of entries) {
    const key = Buffer.from(bytes.key, "hex")
    const value = Buffer.from(bytes.value, "hex")
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(timestampNano)
    hash
      .update(u32(key.length))
      .update(key)
      .update(u32(value.length))
      .update(value)
      .update(time)
      .update(u32(isDeleted ? 1 : 0))
  }
  return hash.digest("hex")
}

/**
 * What a merge into nothing must give. A tombstone has no value, whatever the snapshot's has; in format 1 an empty
 * value is a tombstone.
 */
const expectedOf = Effect.fnUntraced(function* ({ entriesFile, formatVersion }: GoldenSnapshot) {
  const dbis = yield* readJson<GoldenDbis>(entriesFile!)
  return Object.fromEntries(
    dbis.map(({ entries, name }) => [
      name,
      entries.map(({ flags, key, timestampNano, value }): NativeEntry => {
        const isDeleted = (flags & 1) === 1 || (formatVersion === 1 && value === "")
        return { key, timestampNano: BigInt(timestampNano), isDeleted, value: isDeleted ? "" : value }
      })
    ])
  )
})

/** Merges the one snapshot, and reads the LMDB. */
const mergeAlone = Effect.fnUntraced(function* (
  tools: string,
  command: string,
  snapshot: GoldenSnapshot & { readonly objectName?: string }
) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "original-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/${snapshot.objectName!}`, yield* read(snapshot.path))
  const file = `${directory}/db/main.lmdb`
  const { code, log, text } = yield* run({
    args: [command, "--only-once"],
    config: {
      ...quick,
      instance: "ours",
      lmdbs: { main: nativeFile(file, { create: true, map_size: "16MB" }) },
      storage: folderBucket(`${directory}/bucket`)
    }
  })
  assert.strictEqual(code, 0, text)
  assert.isDefined(
    log.find(({ msg }) => msg === "Loaded remote update"),
    text
  )
  return {
    dump: contentOf(yield* Pdns.mdbDump(tools, file)),
    bucket: yield* fs.readDirectory(`${directory}/bucket`)
  }
})

const snapshotNamed = (name: string) => Effect.map(snapshots, (all) => all.find((snapshot) => snapshot.name === name)!)

describeWith("a snapshot made by the original", await Pdns.installed(), (tools) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    for (const [name, command] of [
      ["v3-old-native", "receive"],
      ["v1-native", "receive"],
      ["native-small", "sync"]
    ] as const) {
      it.effect(`is merged by ${command} into an empty LMDB, entry by entry: ${name}`, () =>
        Effect.gen(function* () {
          const snapshot = yield* snapshotNamed(name)
          const { bucket, dump } = yield* mergeAlone(tools, command, snapshot)
          assert.deepStrictEqual(dump, yield* expectedOf(snapshot))
          // Nothing of ours: an LMDB that was filled by a merge alone is not sent.
          assert.lengthOf(bucket, 1)
        })
      )
    }

    it.effect("is merged into an empty LMDB, 5,000 entries of DNS data by their digests: native-pdns", () =>
      Effect.gen(function* () {
        const snapshot = yield* snapshotNamed("native-pdns")
        const { dump } = yield* mergeAlone(tools, "receive", snapshot)
        assert.deepStrictEqual(
          Object.keys(dump).sort(),
          snapshot.dbis.map(({ name }) => name!)
        )
        for (const { digest: expected, entries, name } of snapshot.dbis) {
          assert.lengthOf(dump[name!]!, entries, name)
          assert.strictEqual(digest(dump[name!]!), expected, name)
        }
      })
    )
  })
})
