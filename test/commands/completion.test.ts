/** `completion`: what bash makes of the script. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute, runBundled, bundle } from "../support/Command.ts"

layer(NodeServices.layer, { excludeTestServices: true })("completion", (it) => {
  it.effect("bash completes commands, those below them, and options", () =>
    Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const script = `${yield* fs.makeTempDirectoryScoped({ prefix: "completion-" })}/bash`
      const { code, out } = yield* runBundled(["completion", "bash"])
      assert.strictEqual(code, 0)
      assert.include(out, "lightningstream completion bash")
      yield* fs.writeFileString(script, out)
      for (const [words, expected] of [
        [["snap"], ["snapshots"]],
        [["snapshots", "li"], ["list"]],
        [["snapshots", "list", "--pre"], ["--prefix"]],
        [["snapshots", "dump", "--log-f"], ["--log-format"]]
      ] as const) {
        const line = ["lightningstream", ...words]
        const source = `source ${script}; COMP_WORDS=(${line.join(" ")}); COMP_CWORD=${words.length}; COMP_LINE='${line.join(" ")}'; _lightningstream; echo "\${COMPREPLY[@]}"`
        const completed = yield* execute(["bash", "-c", source])
        assert.deepStrictEqual(completed.out.trim().split(" "), [...expected], completed.err)
      }
    })
  )

  it.effect("knows four shells and no other", () =>
    Effect.gen(function* () {
      for (const [shell, begins] of [
        ["bash", /complete -F _lightningstream .*lightningstream$/m],
        ["zsh", /^#compdef lightningstream$/m],
        ["fish", /^complete -c lightningstream /m],
        ["powershell", /Register-ArgumentCompleter/]
      ] as const) {
        const { out } = yield* runBundled(["completion", shell])
        assert.match(out, begins, shell)
        assert.include(out, "snapshots", shell)
      }
      const other = yield* runBundled(["completion", "csh"])
      assert.strictEqual(other.code, 2)
      assert.match(other.err, /bash.*zsh.*fish.*powershell/)
    })
  )
})
