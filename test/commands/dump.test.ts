/** `dump` as a process, on LMDBs that an application has open. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import * as Application from "../support/Application.ts"
import { bundle, bundled, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile, shadowFile } from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"

/** Two databases, of which the second is not there. */
const databases = Effect.gen(function* () {
  yield* bundle
  const { directory } = yield* workspace((directory) => ({
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`), away: nativeFile(`${directory}/away.lmdb`) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  const application = yield* Application.open(`${directory}/main.lmdb`)
  yield* application.put("alive", "one", 1_700_000_000_000_000_000n)
  yield* application.put("dead", "", 5n, true)
  yield* application.write({ do: "create", dbi: "_sync_old", flags: 0 })
  yield* application.write({ do: "put", dbi: "_sync_old", key: "00", value: "ff" })
  return { directory, dump: (...args: ReadonlyArray<string>) => runBundled(["dump", ...args], { cwd: directory }) }
})

layer(NodeServices.layer, { excludeTestServices: true })("dump", (it) => {
  it.effect("prints each DBI as text, and goes on after a database that is not there, which is not made", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { dump, directory } = yield* databases
      const { code, err, out } = yield* dump()
      assert.strictEqual(code, 1)
      assert.match(err, /Cannot dump the database.*there is no such file/)
      assert.match(out, /^\n### main :: _sync_old\n\n\. \[00\] {2}= {2}\. \[ff\]\n\n### main :: records\n\nalive \[/)
      assert.match(out, /dead \[64 65 61 64\] {2}= {2}\.{24} \[(00 ){7}05 /)
      assert.match(out, /2023-11-14T22:13:20/)
      const hidden = yield* dump("-H", "-n", "main")
      assert.strictEqual(hidden.code, 0, hidden.err)
      assert.notInclude(hidden.out, "_sync_old")
      assert.isFalse(yield* fs.exists(`${directory}/away.lmdb`))
    })
  )

  it.effect("prints JSON lines: what the header says beside the value, and nothing of it where there is none", () =>
    Effect.gen(function* () {
      const { dump } = yield* databases
      const { code, err, out } = yield* dump("--name=main", "-fjson")
      assert.strictEqual(code, 0, err)
      const lines: ReadonlyArray<unknown> = out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      const [alive, dead] = ["alive", "dead"].map((key) => Buffer.from(key).toString("hex"))
      assert.deepStrictEqual(lines, [
        { database: "main", dbi: "_sync_old", flags: 0, transform: "" },
        { key: "00", value: "ff" },
        { database: "main", dbi: "records", flags: 0, transform: "" },
        { key: alive, value: "6f6e65", timestampNano: "1700000000000000000", flags: 0, txnID: "0" },
        { key: dead, value: "", timestampNano: "5", flags: 1, txnID: "0" }
      ])
      const { directory } = yield* workspace((directory) => ({
        lmdbs: { shadow: shadowFile(`${directory}/shadow.lmdb`) },
        storage: folderBucket(`${directory}/bucket`)
      }))
      const application = yield* Application.open(`${directory}/shadow.lmdb`)
      yield* application.put("k", "v", 5n)
      const plain = yield* runBundled(["dump", "-f", "json"], { cwd: directory })
      // In shadow mode it is the application's own, whatever it looks like.
      assert.deepStrictEqual(JSON.parse(plain.out.split("\n")[1]!), { key: "6b", value: Application.native("v", 5n) })
      const other = yield* dump("-n", "other")
      assert.strictEqual(other.code, 2)
      assert.match(other.err, /--name other: there is no such database in lmdbs, only away, main/)
    })
  )

  it.effect("ends in order at Ctrl-C while nobody reads what it prints", () =>
    Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* workspace((directory) => ({
        lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
        storage: folderBucket(`${directory}/bucket`)
      }))
      const path = `${directory}/main.lmdb`
      const application = yield* Application.open(path, 2 ** 24)
      yield* application.write({ do: "fill", dbi: "records", entries: 20_000, bytes: 100 })
      const handle = yield* ChildProcess.make(process.execPath, [bundled, "dump"], { cwd: directory, stdin: "ignore" })
      yield* eventually(
        "the LMDB is open",
        Effect.map(fs.readFileString(`/proc/${handle.pid}/maps`), (maps) => maps.includes(path) || undefined)
      )
      process.kill(handle.pid, "SIGINT")
      assert.strictEqual(Number(yield* handle.exitCode), 130)
    })
  )
})
