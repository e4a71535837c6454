/** The README's first command, as it is given there. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { eventually } from "../support/Eventually.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const script = pathOf("../../../demo/demo.ts")

/** What a group of each match is, in order. */
const all = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), (match) => match[1])

/** Its output is read as it comes. */
const start = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const handle = yield* spawner.spawn(ChildProcess.make(process.execPath, [script, ...args]))
  let text = ""
  const reading = yield* Effect.forkScoped(
    Stream.runForEach(Stream.decodeText(handle.stdout), (part) => Effect.sync(() => void (text += part)))
  )
  return { handle, text: () => text, ended: Effect.andThen(Fiber.await(reading), handle.exitCode) }
})

const assertRound = (text: string) => {
  assert.deepStrictEqual(
    text.split("\n").filter((line) => line.length > 80),
    []
  )
  assert.deepStrictEqual(all(text, /Written at (\w+): /g), ["a", "b", "b"])
  assert.deepStrictEqual(all(text, /Seen at (\w+) after [0-9.]+ s/g), ["b", "a", "a"])
  // What b has sent first is all that it has.
  assert.deepStrictEqual(all(text, /Uploaded \d+ bytes, a (\w+):\n {3}main__\S+\.pbd?\.gz\n/g), [
    "delta",
    "snapshot",
    "delta"
  ])
  const [first, whole, last] = all(text, /Uploaded (\d+) bytes/g).map(Number)
  assert.isBelow(Math.max(first!, last!), 400)
  assert.isAbove(whole!, 10_000)
  assert.match(text, /Memory of the daemons \(RssAnon\): a \d+ MB, b \d+ MB/)
}

describe("npm run demo", () => {
  it.live("-- --once: shows changes arrive in both directions, in 80 columns, and ends with 0", () =>
    Effect.gen(function* () {
      const demo = yield* start(["--once"])
      assert.strictEqual(yield* demo.ended, 0, demo.text())
      assertRound(demo.text())
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("shows what is changed by the command that it gives, until Ctrl-C, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const demo = yield* start([])
      const shown = (pattern: RegExp) =>
        eventually(
          `it shows ${pattern}`,
          Effect.sync(() => pattern.exec(demo.text()) ?? undefined),
          demo.text
        )
      yield* shown(/Press Ctrl-C/)
      const [, put] = yield* shown(/node (demo\/put\.ts \S+a\.mdb fruit cherry)/)
      assertRound(demo.text())
      const command = ChildProcess.make(process.execPath, put!.split(" "), { cwd: pathOf("../../..") })
      assert.strictEqual(yield* spawner.exitCode(command), 0)
      yield* shown(/fruit = cherry: (from a, seen at b|seen at both) after [0-9.]+ s/)
      const [, directory] = yield* shown(/all in (\S+);/)
      process.kill(demo.handle.pid, "SIGINT")
      assert.strictEqual(yield* demo.ended, 0, demo.text())
      assert.isFalse(yield* fs.exists(directory!))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
