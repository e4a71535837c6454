/**
 * Started by StandardOutput.test.ts as a process: prints numbered lines forever, or as many as it is told, then fails.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import * as StandardOutput from "../../../src/layers/process/StandardOutput.ts"

const limit = Number(process.argv[2] ?? Infinity)
let made = 0

const numbers = Stream.fromEffectRepeat(Effect.sync(() => `${made++}${" ".repeat(1_000)}\n`)).pipe(
  Stream.take(limit),
  Stream.concat(Stream.fail("the end"))
)

const outcome = await Effect.runPromise(
  StandardOutput.write(numbers).pipe(
    Effect.match({ onSuccess: () => "done", onFailure: String }),
    Effect.provide(NodeServices.layer)
  )
)
process.stderr.write(`${outcome} ${made}\n`)
