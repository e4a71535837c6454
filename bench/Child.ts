/**
 * Runs a measured process: fresh, with its anonymous memory sampled every 20 ms by this one, and its report decoded.
 */
import { Data, Effect, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import * as ProcessMemory from "../src/layers/process/ProcessMemory.ts"
import { rssAnon } from "./Proc.ts"

export class ChildFailed extends Data.TaggedError("ChildFailed")<{
  readonly command: string
  readonly problem: string
}> {
  override get message(): string {
    return `${this.command}: ${this.problem}`
  }
}

/** The Node that runs this, its memory set as a daemon sets it. Its standard error is ours. */
export const node = (file: URL, args: ReadonlyArray<string>) =>
  ChildProcess.make(process.execPath, [...ProcessMemory.flags, file.pathname, ...args], {
    stdin: "ignore",
    stderr: "inherit",
    env: ProcessMemory.environment,
    extendEnv: true
  })

/** Highest RssAnon in MB so far, in the array's only element; goes on until it is interrupted. */
export const samplePeak = (pid: number, peak: [number]) =>
  Effect.forever(
    Effect.andThen(
      Effect.map(rssAnon(pid), (megabytes) => void (peak[0] = Math.max(peak[0], megabytes))),
      Effect.sleep("20 millis")
    )
  )

/** All that it writes to standard output, once it has ended with 0. */
const outputOf = Effect.fnUntraced(function* (command: string, handle: ChildProcessHandle) {
  const output = yield* Stream.mkString(Stream.decodeText(handle.stdout))
  const code = yield* handle.exitCode
  if (code !== 0) return yield* new ChildFailed({ command, problem: `ended with ${code}: ${output}` })
  return output
})

const lastLine = (output: string): string => output.trimEnd().split("\n").at(-1) ?? ""

export const decodeReport = <S extends Schema.Top>(command: string, schema: S, output: string) =>
  Schema.decodeEffect(Schema.fromJsonString(schema))(lastLine(output)).pipe(
    Effect.mapError(() => new ChildFailed({ command, problem: `no report: ${output}` }))
  )

/** Runs it to its end. */
export const run = Effect.fn("Child.run")(function* <S extends Schema.Top>(
  file: URL,
  args: ReadonlyArray<string>,
  schema: S
) {
  const command = `${file.pathname} ${args.join(" ")}`
  const handle = yield* node(file, args)
  const peak: [number] = [0]
  const output = yield* Effect.raceFirst(outputOf(command, handle), samplePeak(handle.pid, peak))
  return { report: yield* decodeReport(command, schema, output), peak: peak[0] }
}, Effect.scoped)

/** Runs it to its end, for what it does to files. */
export const runOnly = Effect.fn("Child.runOnly")(function* (file: URL, args: ReadonlyArray<string>) {
  yield* outputOf(`${file.pathname} ${args.join(" ")}`, yield* node(file, args))
}, Effect.scoped)

/** The first line that it writes; it goes on until the scope ends. */
export const firstLine = Effect.fn("Child.firstLine")(function* (file: URL, args: ReadonlyArray<string>) {
  const handle = yield* node(file, args)
  const said = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
  if (said._tag === "None")
    return yield* new ChildFailed({ command: `${file.pathname} ${args.join(" ")}`, problem: "it ended early" })
  return said.value
})
