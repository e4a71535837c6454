/** Runs a measured process, samples its anonymous memory every 20 ms from this process, and decodes its report. */
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

/**
 * Starts a module with the Node that runs this process, with the memory settings of a daemon. Its standard error is
 * that of this process.
 */
export const node = (file: URL, args: ReadonlyArray<string>) =>
  ChildProcess.make(process.execPath, [...ProcessMemory.flags, file.pathname, ...args], {
    stdin: "ignore",
    stderr: "inherit",
    env: ProcessMemory.environment,
    extendEnv: true
  })

/**
 * Samples the memory of a process until interrupted, and keeps the highest RssAnon in MB in the only element of `peak`.
 */
export const samplePeak = (pid: number, peak: [number]) =>
  Effect.forever(
    Effect.andThen(
      Effect.map(rssAnon(pid), (megabytes) => void (peak[0] = Math.max(peak[0], megabytes))),
      Effect.sleep("20 millis")
    )
  )

/** Returns everything that a process has written to standard output. Fails if its exit code is not 0. */
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

/** Runs a process to its end, and returns its report and the peak of its memory. */
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

/** Runs a process to its end, for its effects on files. */
export const runOnly = Effect.fn("Child.runOnly")(function* (file: URL, args: ReadonlyArray<string>) {
  yield* outputOf(`${file.pathname} ${args.join(" ")}`, yield* node(file, args))
}, Effect.scoped)

/** Starts a process, and returns the first line that it writes. The process runs until the scope ends. */
export const firstLine = Effect.fn("Child.firstLine")(function* (file: URL, args: ReadonlyArray<string>) {
  const handle = yield* node(file, args)
  const said = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
  if (said._tag === "None")
    return yield* new ChildFailed({ command: `${file.pathname} ${args.join(" ")}`, problem: "it ended early" })
  return said.value
})
