/**
 * Bundles whose chunks are loaded in turns, of a program that writes down in which order and in which turn of the event
 * loop its modules run.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { bundle } from "../../scripts/LoadInTurns.ts"
import { execute } from "../support/Command.ts"

const Run = Schema.Array(Schema.Tuple([Schema.String, Schema.Finite]))

const counting = `globalThis.turn = 0
globalThis.ran = []
const next = () => { globalThis.turn++; setImmediate(next).unref() }
next()
`

/** More than half of what is loaded in one go, so that no two of them are. No bundler can leave it out. */
const filling = `globalThis.filling = "${"x".repeat(70_000)}"`

/** One that uses a value of each of the others while it runs, unless it is `late`. */
const module = (name: string, imports: ReadonlyArray<string> = [], late: ReadonlyArray<string> = []) =>
  [
    ...[...imports, ...late].map((other) => `import * as ${other} from "./${other}.js"`),
    filling,
    `globalThis.ran.push(["${name}", globalThis.turn])`,
    `export const size = globalThis.ran.length ${imports.map((other) => `+ ${other}.size`).join(" ")}`,
    `export const all = () => size ${late.map((other) => `+ ${other}.size`).join(" ")}`
  ].join("\n")

/** `main` loads `top`. What ran: each module with the turn. */
const run = Effect.fnUntraced(function* (modules: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "bundle-" })
  const files = {
    ...modules,
    main: `${counting}const { all } = await import("./top.js")\nall()\nconsole.log(JSON.stringify(globalThis.ran))`
  }
  yield* fs.writeFileString(`${folder}/package.json`, JSON.stringify({ type: "module" }))
  yield* Effect.forEach(Object.entries(files), ([name, code]) => fs.writeFileString(`${folder}/${name}.js`, code))
  yield* Effect.promise(() =>
    bundle(
      { cwd: folder, input: { main: "main.js" }, logLevel: "silent" },
      { dir: `${folder}/dist`, format: "esm", minify: true }
    )
  )
  const { code, err, out } = yield* execute([process.execPath, `${folder}/dist/start.js`])
  assert.strictEqual(code, 0, err)
  return yield* Schema.decodeEffect(Schema.fromJsonString(Run))(out)
})

const names = (ran: typeof Run.Type) => ran.map(([name]) => name)

layer(NodeServices.layer, { excludeTestServices: true })("a bundle that is loaded in turns", (it) => {
  it.effect("runs its modules in their order, each large one in a turn of its own", () =>
    Effect.gen(function* () {
      const ran = yield* run({
        top: module("top", ["c", "b"]),
        c: module("c", ["a"]),
        b: module("b", ["a"]),
        a: module("a")
      })
      assert.deepStrictEqual(names(ran), ["a", "c", "b", "top"])
      assert.strictEqual(new Set(ran.map(([, turn]) => turn)).size, 4, JSON.stringify(ran))
    })
  )

  it.effect("is not cut within a cycle, where one would run before what it needs", () =>
    Effect.gen(function* () {
      // `b` needs `a` when it runs, and `a` needs `b` later: bundled in one piece, `a` runs first.
      const ran = yield* run({
        top: module("top", ["a"]),
        a: module("a", [], ["b"]),
        b: module("b", ["a2"]),
        a2: module("a2", [], ["a"])
      })
      assert.deepStrictEqual(names(ran), ["a2", "b", "a", "top"])
      const turnOf = new Map(ran)
      assert.strictEqual(turnOf.get("a2"), turnOf.get("a"))
      assert.isAbove(turnOf.get("top")!, turnOf.get("a")!)
    })
  )
})
