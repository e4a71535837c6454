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
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "completion-" })
      const script = `${directory}/bash`
      yield* fs.writeFileString(`${directory}/one.yaml`, "")
      const { code, out } = yield* runBundled(["completion", "bash"])
      assert.strictEqual(code, 0)
      assert.include(out, "lightningstream completion bash")
      yield* fs.writeFileString(script, out)
      for (const [words, expected] of [
        [["snap"], ["snapshots"]],
        [["snapshots", "li"], ["list"]],
        [["snapshots", "list", "--pre"], ["--prefix"]],
        [["snapshots", "dump", "--log-f"], ["--log-format"]],
        [["dump", "--format", "j"], ["json"]],
        [["snapshots", "dump", "-f", "d"], ["debug"]],
        [["--log-format", "lo"], ["logfmt"]],
        [["completion", "f"], ["fish"]],
        [["help", "rest"], ["restore"]],
        [["-c", "one.y"], ["one.yaml"]],
        [["stats", "--config", "one.y"], ["one.yaml"]],
        [["restore", "latest", "--to", "one.y"], ["one.yaml"]],
        [["snapshots", "put", "one.y"], ["one.yaml"]]
      ] as const) {
        const line = ["lightningstream", ...words]
        const source = `source ${script}; COMP_WORDS=(${line.join(" ")}); COMP_CWORD=${words.length}; COMP_LINE='${line.join(" ")}'; _lightningstream ${line[0]} ${line.slice(-2).toReversed().join(" ")}; echo "\${COMPREPLY[@]}"`
        const completed = yield* execute(["bash", "-c", source], { cwd: directory })
        assert.deepStrictEqual(completed.out.trim().split(" "), [...expected], `${line.join(" ")}: ${completed.err}`)
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
