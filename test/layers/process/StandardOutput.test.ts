import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a shell pipeline, whose end is waited for
import { spawnSync } from "node:child_process"

const program = new URL("../../support/processes/standard-output.process.ts", import.meta.url).pathname

/** In a shell, because only there are the pipes those of real life. */
const shell = (script: string) =>
  Effect.sync(() =>
    spawnSync("sh", ["-c", script], {
      encoding: "utf8",
      env: { ...process.env, NODE: process.execPath, PROGRAM: program }
    })
  )

describe("StandardOutput", () => {
  it.live(
    "a reader that has seen enough ends the stream without an error",
    () =>
      Effect.gen(function* () {
        const { stderr, stdout } = yield* shell(`"$NODE" "$PROGRAM" | head -n 2`)
        assert.strictEqual(stdout.replaceAll(" ", ""), "0\n1\n")
        assert.match(stderr, /^done \d+\n$/)
      }),
    20_000
  )

  it.live(
    "a slow reader holds the stream back",
    () =>
      Effect.gen(function* () {
        const { stderr } = yield* shell(`"$NODE" "$PROGRAM" | { sleep 1.5; head -n 1 > /dev/null; }`)
        // The pipe holds 64 KiB, the stream's buffers a little more: endless lines were not made meanwhile.
        assert.isBelow(Number(/\d+/.exec(stderr)?.[0]), 1_000, stderr)
      }),
    20_000
  )

  it.live(
    "an error of the stream comes after all that came before it was written",
    () =>
      Effect.gen(function* () {
        const { stderr, stdout } = yield* shell(`"$NODE" "$PROGRAM" 500 | cat`)
        assert.lengthOf(stdout.split("\n"), 501)
        assert.strictEqual(stderr, "the end 500\n")
      }),
    20_000
  )

  it.live(
    "what could control a terminal is escaped: in JSON the escape means the same",
    () =>
      Effect.gen(function* () {
        const text = "\u001b[2Jgone\r\u007f\u009b31m"
        const { stdout } = yield* shell(`"$NODE" "$PROGRAM" 0 '${text}' | cat`)
        assert.strictEqual(stdout, "\\u001b[2Jgone\\u000d\\u007f\\u009b31m\t\n")
        assert.strictEqual(JSON.parse(`"${stdout.trim()}"`), text)
      }),
    20_000
  )
})
