/** Requests the pages of a daemon, and parses its metrics. */
import { Effect, Schema } from "effect"
import type { Daemon } from "./Daemon.ts"
import { eventually } from "./Eventually.ts"

export class PageFailed extends Schema.TaggedError<PageFailed>()("PageFailed", {
  url: Schema.String,
  detail: Schema.String
}) {}

export interface PageRead {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Returns the address of a daemon whose `http.address` is `127.0.0.1:0`. */
export const addressOf = (daemon: Daemon) =>
  Effect.map(daemon.logged("Serving metrics, health and status over HTTP"), ({ address }) => String(address))

export const get = (address: string, path: string) =>
  Effect.tryPromise({
    try: (signal) =>
      fetch(`http://${address}${path}`, { signal }).then((response) =>
        response.text().then((body): PageRead => ({
          status: response.status,
          type: response.headers.get("content-type") ?? "",
          body
        }))
      ),
    catch: (error) => new PageFailed({ url: `http://${address}${path}`, detail: String(error) })
  })

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Exposition {
  readonly types: ReadonlyMap<string, string>
  readonly samples: ReadonlyArray<Sample>
}

const unescape = (text: string): string =>
  text.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character))

/** Parses metrics. Throws if a line does not conform to the format. */
export const parseMetrics = (text: string): Exposition => {
  const types = new Map<string, string>()
  const samples: Array<Sample> = []
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line) ?? []
    if (typed !== undefined) {
      if (types.has(typed)) throw new Error(`${typed} is typed twice`)
      types.set(typed, type!)
      continue
    }
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`no line of the format: ${line}`)
    const pairs = Array.from(
      labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g),
      ([, key, text]) => [key!, unescape(text!)] as const
    )
    samples.push({ name, labels: Object.fromEntries(pairs), value: value === "+Inf" ? Infinity : Number(value) })
  }
  return { types, samples }
}

export const metricsOf = (address: string) => Effect.map(get(address, "/metrics"), ({ body }) => parseMetrics(body))

/** Returns the sum of the series that have these labels, or undefined if there are none. */
export const valueIn = (
  { samples }: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number | undefined => {
  const found = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  )
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}

/** Scrapes until the series has the expected value. */
export const untilMetric = (
  address: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  is: (value: number | undefined) => boolean
) => {
  let seen: number | undefined
  return eventually(
    `${name}${JSON.stringify(labels)} is as expected`,
    Effect.map(metricsOf(address), (exposition) => {
      seen = valueIn(exposition, name, labels)
      return is(seen) ? { exposition, value: seen } : undefined
    }),
    () => String(seen)
  )
}

const Json = Schema.fromJsonString(
  Schema.Struct({
    ok: Schema.Boolean,
    status: Schema.String,
    failures: Schema.Record(Schema.String, Schema.String),
    warnings: Schema.Record(Schema.String, Schema.String),
    metadata: Schema.Record(Schema.String, Schema.Unknown)
  })
)

export const healthOf = Effect.fnUntraced(function* (address: string) {
  const { body, status: code } = yield* get(address, "/healthz")
  return { code, ...(yield* Schema.decodeEffect(Json)(body)) }
})
