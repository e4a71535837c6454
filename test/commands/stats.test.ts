/** `stats` as a process, on LMDBs that an application has open. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile, shadowFile } from "../support/Daemon.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Pdns from "../support/servers/Pdns.ts"

const mapSize = 2 ** 20

/** Native, in shadow mode, and one that is not there. */
const databases = Effect.gen(function* () {
  yield* bundle
  const { directory } = yield* workspace((directory) => ({
    lmdbs: {
      native: nativeFile(`${directory}/native.lmdb`),
      away: nativeFile(`${directory}/away.lmdb`),
      shadow: shadowFile(`${directory}/shadow.lmdb`)
    },
    storage: folderBucket(`${directory}/bucket`)
  }))
  const application = yield* Application.open(`${directory}/native.lmdb`)
  for (const [index, key] of ["a", "b", "c"].entries()) yield* application.put(key, "x", BigInt(index), key === "b")
  yield* application.put("large", Buffer.alloc(10_000), 7n)
  yield* application.write({ do: "create", dbi: "_sync_old", flags: 0 })
  const other = yield* LmdbApplication.make({ path: `${directory}/shadow.lmdb`, mapSize })
  for (const [dbi, value] of [
    ["d", "76"],
    ["_sync_shadow_d", Application.native("", 5n, true)]
  ] as const) {
    yield* other.write({ do: "create", dbi, flags: dbi === "d" ? 8 : 0 }, { do: "put", dbi, key: "00000001", value })
  }
  return { directory, stats: (...args: ReadonlyArray<string>) => runBundled(["stats", ...args], { cwd: directory }) }
})

const pages = { depth: 1, branchPages: 0, leafPages: 1, overflowPages: 0, bytes: 4096 }

layer(NodeServices.layer, { excludeTestServices: true })("stats", (it) => {
  it.effect("prints what LMDB counts, and the tombstones where there are headers", () =>
    Effect.gen(function* () {
      const { directory, stats } = yield* databases
      const { code, err, out } = yield* stats("--name", "native", "--format=json")
      assert.strictEqual(code, 0, err)
      const { fileSize, lastTransactionID, used, ...found } = JSON.parse(out)
      assert.deepStrictEqual(found, {
        database: "native",
        path: `${directory}/native.lmdb`,
        mapSize,
        pageSize: 4096,
        readers: 1,
        maxReaders: 126,
        dbis: [
          { dbi: "_sync_old", flags: 0, entries: 0, tombstones: null, ...pages, depth: 0, leafPages: 0, bytes: 0 },
          { dbi: "records", flags: 0, entries: 4, tombstones: 1, ...pages, overflowPages: 3, bytes: 16_384 }
        ]
      })
      // One transaction for each DBI and each entry.
      assert.strictEqual(lastTransactionID, "6")
      // Two meta pages, a page of the root, one of the free list, and those of the DBI.
      assert.strictEqual(used, 8 * 4096)
      assert.isAtLeast(fileSize, used)
      const shadow = yield* stats("-n", "shadow", "-f", "json")
      assert.deepStrictEqual(JSON.parse(shadow.out).dbis, [
        { dbi: "_sync_shadow_d", flags: 0, entries: 1, tombstones: 1, ...pages },
        { dbi: "d", flags: 8, entries: 1, tombstones: null, ...pages }
      ])
    })
  )

  it.effect("prints text for people, and goes on after a database that is not there, which is not created", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, stats } = yield* databases
      const { code, err, out } = yield* stats()
      assert.strictEqual(code, 1)
      assert.match(err, /Cannot read the LMDB.*away.*there is no such file/)
      assert.isFalse(yield* fs.exists(`${directory}/away.lmdb`))
      const lines = out.split("\n")
      const sections = lines.filter((line) => line.startsWith("### "))
      assert.deepStrictEqual(sections, [
        `### native :: ${directory}/native.lmdb`,
        `### shadow :: ${directory}/shadow.lmdb`
      ])
      assert.include(lines, "Used:             32768 (3.1% of the map)")
      assert.include(lines, "Readers:          1 of 126")
      assert.include(lines, "DBI        Entries  Tombstones  Depth  Branch  Leaf  Overflow  Bytes  Flags")
      assert.include(lines, "records          4           1      1       0     1         3  16384  none")
      assert.include(lines, "_sync_old        0           -      0       0     0         0      0  none")
      assert.match(out, /^d +1 +- .* MDB_INTEGERKEY$/m)
    })
  )

  it.effect("says which values have no header, counts the other DBIs, and ends with 1", () =>
    Effect.gen(function* () {
      yield* bundle
      const { directory } = yield* workspace((directory) => ({
        lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
        storage: folderBucket(`${directory}/bucket`)
      }))
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("dead", "", 1n, true)
      yield* application.write({ do: "create", dbi: "plain", flags: 0 })
      yield* application.write({ do: "put", dbi: "plain", key: "6b", value: "76" })
      const { code, err, out } = yield* runBundled(["stats", "-fjson"], { cwd: directory })
      assert.strictEqual(code, 1)
      assert.match(err, /Cannot count the tombstones.*plain.*key 0x6b/)
      assert.deepStrictEqual(
        JSON.parse(out).dbis.map(({ dbi, tombstones }: Record<string, unknown>) => [dbi, tombstones]),
        [
          ["plain", null],
          ["records", 1]
        ]
      )
    })
  )
})

const pdns = await Pdns.installed()

describeWith("stats beside mdb_stat", pdns, (tools) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("counts what LMDB's own tool counts", () =>
      Effect.gen(function* () {
        const { directory, stats } = yield* databases
        const printed = yield* Pdns.runTool(tools, "mdb_stat", ["-n", "-a", `${directory}/native.lmdb`])
        const [, records] = /Status of records\n((?: {2}.*\n)+)/.exec(printed)!
        const ofTool = Object.fromEntries(
          Array.from(records!.matchAll(/^ {2}(.+): (\d+)$/gm), ([, k, v]) => [k, Number(v)])
        )
        const ours = JSON.parse((yield* stats("-n", "native", "-f", "json")).out).dbis[1]
        assert.deepStrictEqual(ofTool, {
          "Tree depth": ours.depth,
          "Branch pages": ours.branchPages,
          "Leaf pages": ours.leafPages,
          "Overflow pages": ours.overflowPages,
          Entries: ours.entries
        })
      })
    )
  })
})
