/**
 * Formats log lines in the three formats of Lightning Stream, which look like those of Go's logrus, because operators
 * have queries for them. The functions are pure. A line has no line break at its end. Control characters in foreign
 * text (names of objects, messages of servers) are escaped, so that they cannot control the terminal.
 */
import { Cause, DateTime, Duration, Formatter, type LogLevel } from "effect"
import * as GoDuration from "../../domain/settings/values/GoDuration.ts"

export interface Line {
  readonly date: Date
  /** Seconds since the process started. */
  readonly secondsSinceStart: number
  readonly level: LogLevel.LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type Timestamp = "short" | "full" | "disable"

const levelNames: Readonly<Record<LogLevel.LogLevel, string>> = {
  All: "trace",
  Trace: "trace",
  Debug: "debug",
  Info: "info",
  Warn: "warning",
  Error: "error",
  Fatal: "fatal",
  None: "panic"
}

/** Grey, blue and yellow. Other levels are red. */
const colours: Readonly<Record<string, number>> = { trace: 37, debug: 37, info: 36, warning: 33 }
const red = 31

const two = (value: number): string => String(value).padStart(2, "0")

/** Returns a time as RFC 3339 in the local time zone, to the second. */
export const rfc3339 = (date: Date): string => {
  const offset = -date.getTimezoneOffset()
  const zone =
    offset === 0
      ? "Z"
      : `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}` +
    `T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`
  )
}

/** Returns the message of an error without its stack. */
export const errorText = (error: unknown): string => {
  if (!Cause.isCause(error)) return error instanceof Error ? error.message || error.name : text(error)
  const messages = error.reasons
    .filter((reason) => !Cause.isInterruptReason(reason))
    .map((reason) => errorText(Cause.isFailReason(reason) ? reason.error : reason.defect))
  return messages.length > 0 ? messages.join("; ") : "interrupted"
}

const text = (value: unknown): string => {
  if (typeof value === "string") return value
  if (Duration.isDuration(value)) return Duration.isFinite(value) ? GoDuration.format(value) : "infinite"
  if (DateTime.isDateTime(value)) return DateTime.formatIso(value)
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Error || Cause.isCause(value)) return errorText(value)
  return typeof value === "object" ? Formatter.formatJson(value) : String(value)
}

const jsonValue = (value: unknown): string => {
  if (typeof value === "bigint") return value.toString()
  if (Duration.isDuration(value)) return Duration.isFinite(value) ? Duration.toNanosUnsafe(value).toString() : "null"
  const asText =
    typeof value === "string" || value instanceof Error || Cause.isCause(value) || DateTime.isDateTime(value)
  return Formatter.formatJson(asText ? text(value) : value)
}

/** Delete and the C1 control characters can control a terminal, too, and JSON does not escape them. */
const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
const quoted = (value: string): string => JSON.stringify(value).replace(/[\x7f-\x9f]/g, escape)
const plain = /^[a-zA-Z0-9\-._/@^+]+$/
const quotedIfNeeded = (value: unknown): string => {
  const string = text(value)
  return plain.test(string) ? string : quoted(string)
}

/** Names of a line's own fields. */
const taken = new Set(["time", "level", "msg"])

/** Returns the fields sorted by name, without undefined ones. */
const sortedFields = (fields: Line["fields"]): Array<readonly [string, unknown]> =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [taken.has(name) ? `fields.${name}` : name, value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))

export const logfmt = (line: Line, timestamp: Timestamp): string => {
  const time = timestamp === "disable" ? "" : `time=${quotedIfNeeded(rfc3339(line.date))} `
  let out = `${time}level=${levelNames[line.level]} msg=${quotedIfNeeded(line.message)}`
  for (const [name, value] of sortedFields(line.fields)) out += ` ${name}=${quotedIfNeeded(value)}`
  return out
}

export const json = (line: Line, timestamp: Timestamp): string => {
  const members = sortedFields(line.fields).map(([name, value]) => [name, jsonValue(value)] as const)
  members.push(["level", jsonValue(levelNames[line.level])], ["msg", jsonValue(line.message)])
  if (timestamp !== "disable") members.push(["time", jsonValue(rfc3339(line.date))])
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`.replace(
    /[\x7f-\x9f]/g,
    escape
  )
}

/**
 * Formats a line for a terminal. The name of the database precedes the message and is not repeated among the fields.
 */
export const human = (line: Line, timestamp: Timestamp): string => {
  const level = levelNames[line.level]
  const coloured = (value: string) => `\x1b[${colours[level] ?? red}m${value}\x1b[0m`
  const time =
    timestamp === "disable"
      ? ""
      : `[${timestamp === "full" ? rfc3339(line.date) : String(Math.floor(line.secondsSinceStart)).padStart(4, "0")}]`
  const { db, ...fields } = line.fields
  const prefix = db === undefined ? "" : `[${text(db).padEnd(14)}] `
  // eslint-disable-next-line no-control-regex
  const message = (prefix + line.message).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, escape)
  let out = ""
  for (const [name, value] of sortedFields(fields)) out += ` ${coloured(name)}=${quotedIfNeeded(value)}`
  const head = `${coloured(level.slice(0, 4).toUpperCase())}${time} `
  return out === "" ? head + message : `${head}${message.padEnd(44)} ${out}`
}
