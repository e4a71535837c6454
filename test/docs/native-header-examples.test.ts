/**
 * The examples of docs/applications.md write the native header as the golden files have it. Each is compiled and
 * run.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute } from "../support/Command.ts"
import { readText } from "./Documents.ts"
import { describeWith, pathOf } from "../support/servers/RealServers.ts"
import * as SystemPrograms from "../support/SystemPrograms.ts"

const examples = pathOf("../../../docs/examples")

const go = await SystemPrograms.installed(["go"], "golang-go")

interface Golden {
  readonly name: string
  readonly bytes: string
  readonly timestampNano: string
  readonly txnID: string
  readonly deleted: boolean
  readonly ok: boolean
  readonly value: string
}

/** Headers that an application writes. */
const golden = Effect.map(readText("test/golden/header.json"), (text) =>
  (JSON.parse(text).read as ReadonlyArray<Golden>).filter(
    ({ bytes, deleted, ok, value }) =>
      // Reserved bytes and extension blocks are 0, and the value can be an argument.
      ok && /^.{34}0[01]0{12}/.test(bytes) && (deleted ? value === "" : /^([2-7].)*$/.test(value))
  )
)

const agrees = Effect.fnUntraced(function* (command: ReadonlyArray<string>) {
  const headers = yield* golden
  assert.isAtLeast(headers.length, 3)
  for (const { bytes, deleted, name, timestampNano, txnID, value } of headers) {
    const text = Buffer.from(value, "hex").toString()
    const { code, err, out } = yield* execute([...command, timestampNano, txnID, String(deleted), text])
    assert.deepStrictEqual([code, out.trim()], [0, bytes], `${name}: ${err}`)
  }
})

layer(NodeServices.layer, { excludeTestServices: true })("the native header", (it) => {
  it.effect("in C", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
      const program = `${directory}/header`
      const line = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, `${examples}/header.c`]
      assert.deepStrictEqual(yield* execute(line), { code: 0, out: "", err: "" })
      yield* agrees([program])
    })
  )

  it.effect("in Python", () => agrees(["python3", `${examples}/header.py`]))

  describeWith("in Go", go, (program) => {
    it.effect("by its own compiler", () =>
      Effect.gen(function* () {
        const directory = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
        const built = `${directory}/header`
        const { code, err } = yield* execute([program, "build", "-o", built, `${examples}/header.go`])
        assert.strictEqual(code, 0, err)
        yield* agrees([built])
      })
    )
  })
})
