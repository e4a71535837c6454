/**
 * An application that knows nothing of this project, as docs/getting-started.md has it: with that configuration, but
 * for places. Its LMDB is a directory, written in one process and read in another.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute, run } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"
import { blocksOf, readText, sectionOf } from "./Documents.ts"

/** Opens the LMDB in a directory, writes and removes text in the DBI `greetings`, and prints what it then contains. */
const application = `
  const { open } = require(${JSON.stringify(pathOf("../../../node_modules/lmdb"))})
  const [path, changes] = process.argv.slice(1)
  const text = { encoding: "string", keyEncoding: "binary" }
  const environment = open({ path, noSubdir: false, maxDbs: 8, mapSize: 2 ** 20 })
  const dbi = environment.openDB("greetings", text)
  environment.transactionSync(() => {
    for (const [key, value] of Object.entries(JSON.parse(changes)))
      if (value === null) dbi.removeSync(Buffer.from(key))
      else dbi.putSync(Buffer.from(key), value)
  })
  const entries = Array.from(dbi.getRange(), ({ key, value }) => [key.toString(), value])
  console.log(JSON.stringify(Object.fromEntries(entries)))
  environment.close()
`

const server = Effect.fnUntraced(function* (instance: string, bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped({ prefix: "application-" })
  const section = sectionOf(yield* readText("docs/getting-started.md"), "Any other application")
  const configuration = blocksOf(section, "yaml")[0]!
    .replace("/var/lib/app", `${home}/app`)
    .replace("/mnt/shared/lightningstream", bucket)
  yield* fs.makeDirectory(`${home}/app`)
  yield* fs.writeFileString(`${home}/lightningstream.yaml`, configuration)
  const change = Effect.fnUntraced(function* (changes: Readonly<Record<string, string | null>>) {
    const line = [process.execPath, "-e", application, `${home}/app`, JSON.stringify(changes)]
    const { code, err, out } = yield* execute(line)
    assert.strictEqual(code, 0, err)
    const content: unknown = JSON.parse(out)
    return content
  })
  const sync = Effect.gen(function* () {
    const line = ["-c", `${home}/lightningstream.yaml`, "sync", "--only-once"]
    const { code, err } = yield* run(line, { env: { NODE_NAME: instance } })
    assert.strictEqual(code, 0, err)
  })
  return { home, change, sync }
})

layer(NodeServices.layer, { excludeTestServices: true })("any other application", (it) => {
  it.effect("has the entries, changes and deletions of another server", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const bucket = yield* fs.makeTempDirectoryScoped({ prefix: "bucket-" })
      const [first, second] = [yield* server("ns1", bucket), yield* server("ns2", bucket)]
      yield* first.change({ morning: "hello", evening: "good evening" })
      yield* second.change({})
      yield* first.sync
      yield* second.sync
      assert.deepStrictEqual(yield* second.change({}), { morning: "hello", evening: "good evening" })
      assert.sameMembers(yield* fs.readDirectory(`${second.home}/app`), ["data.mdb", "lock.mdb"])

      yield* second.change({ morning: "good morning", evening: null, night: "good night" })
      yield* second.sync
      yield* first.sync
      assert.deepStrictEqual(yield* first.change({}), { morning: "good morning", night: "good night" })
    })
  )
})
