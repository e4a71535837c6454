/** An application, and a daemon beside it that serves its metrics, for tests of the metrics. */
import { Effect, FileSystem } from "effect"
import * as Application from "./Application.ts"
import * as Daemon from "./Daemon.ts"
import { addressOf, type Exposition, metricsOf, untilMetric, valueIn } from "./HttpPages.ts"

/** Starts both. The application has one entry, whose key is the name of the instance. `settings` take precedence. */
export const startSide = Effect.fnUntraced(function* (
  instance: string,
  storage: object,
  settings: object = {},
  options: Partial<Pick<Daemon.DaemonOptions, "args" | "patience">> = {}
) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "metrics-" })
  const path = `${directory}/main.lmdb`
  const application = yield* Application.open(path)
  yield* application.put(instance, "first", 1n)
  const config = {
    ...Daemon.quick,
    instance,
    lmdbs: { main: Daemon.nativeFile(path) },
    storage,
    http: { address: "127.0.0.1:0" },
    ...settings
  }
  const daemon = yield* Daemon.start({ args: ["sync"], ...options, config })
  const address = yield* addressOf(daemon)
  const until = (name: string, labels: Readonly<Record<string, string>>, is: (value: number | undefined) => boolean) =>
    untilMetric(address, name, labels, is)
  return { path, application, daemon, address, until, metrics: metricsOf(address) }
})

export const above =
  (limit: number) =>
  (value: number | undefined): boolean =>
    value !== undefined && value > limit

export const is =
  (expected: number) =>
  (value: number | undefined): boolean =>
    value === expected

export type Expected = readonly [name: string, labels: Readonly<Record<string, string>>, value: number]

/** Returns every expectation that is not met, with the actual value. */
export const wrong = (exposition: Exposition, expected: ReadonlyArray<Expected>) =>
  expected.flatMap(([name, labels, value]) => {
    const seen = valueIn(exposition, name, labels)
    return seen === value ? [] : [`${name}${JSON.stringify(labels)}: ${seen}, not ${value}`]
  })
