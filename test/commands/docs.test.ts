/** `docs` and `help` as processes: what they print is what the repository has, and what `--help` prints. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { bundle, runBundled } from "../support/Command.ts"
import { readText } from "../docs/Documents.ts"

layer(NodeServices.layer, { excludeTestServices: true })("docs and help", (it) => {
  it.effect("docs prints docs/cli.md, or the manual page, without a configuration", () =>
    Effect.gen(function* () {
      yield* bundle
      for (const [args, file] of [
        [["docs"], "docs/cli.md"],
        [["docs", "-f", "markdown"], "docs/cli.md"],
        [["docs", "--format=man"], "docs/lightningstream.1"]
      ] as const) {
        const { code, err, out } = yield* runBundled(args, { cwd: "/" })
        assert.deepStrictEqual([code, err], [0, ""])
        assert.strictEqual(out, yield* readText(file))
      }
    })
  )

  it.effect("help prints what --help prints, of all or of one command, and refuses what there is not", () =>
    Effect.gen(function* () {
      yield* bundle
      for (const words of [[], ["restore"], ["snapshots"], ["snapshots", "list"]]) {
        const [helped, flagged] = yield* Effect.all([runBundled(["help", ...words]), runBundled([...words, "--help"])])
        assert.deepStrictEqual(helped, flagged)
        assert.strictEqual(helped.code, 0)
        assert.include(helped.out, `lightningstream ${words.join(" ")}`.trimEnd())
      }
      const unknown = yield* runBundled(["help", "snapshots", "lst"])
      assert.strictEqual(unknown.code, 2)
      assert.match(unknown.err, /unknown command "lst": expected one of list, dump/)
    })
  )
})
