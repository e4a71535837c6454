/**
 * Writes the log to standard error, in one of the formats of LogsFormat. Each line is written before the effect that
 * logs it continues, by a plain system call that works in worker threads as well. Nothing has to be flushed, and
 * nothing is lost when the process is killed the next moment. As with Lightning Stream, a reader of standard error that
 * stops reading therefore blocks the process. A reader that has closed the pipe does not.
 *
 * Convention: the message, then fields in a plain object, as in `Effect.logInfo("Stored snapshot", { snapshot_name })`.
 * An error or a cause anywhere among the arguments becomes the field `error`. Annotations (`db`, `instance`,
 * `component`) are fields as well. Durations, bigints and dates are passed as they are. Secrets stay Redacted. A line
 * with `snapshot_instance` and `timestamp` gets Lightning Stream's `shorthash` of both.
 */
import { Array as Arr, Cause, Layer, Logger, type LogLevel, References } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- in one plain call: a logger runs no effects
import { hash } from "node:crypto"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous writes to a descriptor: FileSystem has none
import * as fs from "node:fs"
import * as tty from "node:tty"
import { takeErase } from "../process/TerminalLine.ts"
import { errorText, human, json, type Line, logfmt, type Timestamp } from "./LogsFormat.ts"

const standardError = 2

/** Levels by their names in the configuration. `fatal` and `panic` are equal, since nothing is logged above fatal. */
const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  warning: "Warn",
  error: "Error",
  fatal: "Fatal",
  panic: "Fatal"
} as const satisfies Record<string, LogLevel.LogLevel>

export type Level = keyof typeof levels
export type Format = "human" | "logfmt" | "json"

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** Returns the hash by which log queries that were written for Lightning Stream find the lines of one snapshot. */
const shortHash = ({ snapshot_instance: instance, timestamp }: Readonly<Record<string, unknown>>) =>
  typeof instance === "string" && typeof timestamp === "string"
    ? hash("sha256", `${instance}-${timestamp}`).slice(0, 7)
    : undefined

/** The arguments of a call to a log function, by their roles. */
export const lineOf = (
  { cause, date, fiber, logLevel, message }: Logger.Options<unknown>,
  options: { readonly secondsSinceStart: number; readonly stacks: boolean }
): Line => {
  const words: Array<string> = []
  const fields: Record<string, unknown> = { ...fiber.getRef(References.CurrentLogAnnotations) }
  let error: unknown = cause.reasons.length > 0 ? cause : undefined
  for (const part of Arr.ensure(message)) {
    if (part instanceof Error || Cause.isCause(part)) error ??= part
    else if (isPlainObject(part)) Object.assign(fields, part)
    else words.push(String(part))
  }
  if (error !== undefined) {
    // If there is no message, the error becomes the message.
    if (words.length === 0) words.push(errorText(error))
    else fields["error"] = errorText(error)
    if (options.stacks) fields["stack"] = Cause.isCause(error) ? Cause.pretty(error) : (error as Error).stack
  }
  const shorthash = shortHash(fields)
  if (shorthash !== undefined) fields["shorthash"] = shorthash
  return { date, level: logLevel, message: words.join(" "), fields, secondsSinceStart: options.secondsSinceStart }
}

const pause = new Int32Array(new SharedArrayBuffer(4))

/**
 * Writes a line. If another process has made the descriptor non-blocking and its pipe is full (EAGAIN), waits for up to
 * a second, after which the line is lost.
 */
export const write = (descriptor: number, line: string): void => {
  const bytes = Buffer.from(`${line}\n`)
  for (let done = 0, waits = 0; done < bytes.length && waits < 200;) {
    try {
      done += fs.writeSync(descriptor, bytes, done)
    } catch (error) {
      // The descriptor or the pipe is closed, or the disk is full. A lost line must not stop the process.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return
      waits++
      Atomics.wait(pause, 0, 0, 5)
    }
  }
}

export const layerWith = (options: {
  readonly format: Format
  readonly level: Level
  readonly timestamp: Timestamp
}) => {
  const stacks = options.level === "debug" || options.level === "trace"
  const format =
    options.format === "json" ? json : options.format === "human" && tty.isatty(standardError) ? human : logfmt
  const logger = Logger.make((event) => {
    const line = lineOf(event, { secondsSinceStart: process.uptime(), stacks })
    write(standardError, takeErase() + format(line, options.timestamp))
  })
  return Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, levels[options.level]))
}
