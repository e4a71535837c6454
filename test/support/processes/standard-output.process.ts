/**
 * Process of StandardOutput.test.ts. It prints a given line, and numbered lines, either forever or a given number of
 * them, after which it fails.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import * as StandardOutput from "../../../src/layers/process/StandardOutput.ts"

const [, , limit = Infinity, line] = process.argv
let made = 0

const numbers = Stream.fromEffectRepeat(Effect.sync(() => `${made++}${" ".repeat(1_000)}\n`)).pipe(
  Stream.take(Number(limit)),
  Stream.concat(Stream.fail("the end"))
)

const outcome = await Effect.runPromise(
  StandardOutput.write(line === undefined ? numbers : Stream.concat(Stream.make(`${line}\t\n`), numbers)).pipe(
    Effect.match({ onSuccess: () => "done", onFailure: String }),
    Effect.provide(NodeServices.layer)
  )
)
process.stderr.write(`${outcome} ${made}\n`)
