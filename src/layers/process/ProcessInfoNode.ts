/**
 * `ProcessInfo` from Node and, where it exists, from /proc. Values that cannot be read are omitted, so that figures
 * about the process never disturb it.
 */
import { Effect, Layer } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- /proc, read beside the event loop, without a service
import * as fs from "node:fs/promises"
import * as os from "node:os"
import { ProcessInfo, type ProcessUse } from "../../services/ProcessInfo.ts"
import * as LoopDelay from "./LoopDelay.ts"

const goArch: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }

const text = (file: string) => Effect.promise(() => fs.readFile(file, "utf8").catch(() => ""))

/** Returns the number of bytes in a line such as `VmRSS:   1234 kB`. */
const kilobytes = (status: string, field: string): number | undefined => {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]
  return found === undefined ? undefined : Number(found) * 1024
}

/** Returns the soft limit, or undefined if there is none: other Prometheus clients omit it then, too. */
const maxFilesOf = (limits: string): number | undefined => {
  const found = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return found === undefined ? undefined : Number(found)
}

const use = Effect.fnUntraced(function* (loopDelay: () => LoopDelay.LoopDelay) {
  const [status, limits, files] = yield* Effect.all(
    [
      text("/proc/self/status"),
      text("/proc/self/limits"),
      Effect.promise(() =>
        fs.readdir("/proc/self/fd").then(
          ({ length }) => length,
          () => undefined
        )
      )
    ],
    { concurrency: "unbounded" }
  )
  const cpu = process.cpuUsage()
  const { external, heapTotal, heapUsed, rss } = process.memoryUsage()
  const { longestMillis, p99Millis } = loopDelay()
  return {
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    residentBytes: kilobytes(status, "VmRSS") ?? rss,
    anonymousBytes: kilobytes(status, "RssAnon"),
    virtualBytes: kilobytes(status, "VmSize"),
    openFiles: files,
    maxFiles: maxFilesOf(limits),
    heapUsedBytes: heapUsed,
    heapTotalBytes: heapTotal,
    externalBytes: external,
    loopDelayP99Millis: p99Millis,
    loopDelayLongestMillis: longestMillis
  } satisfies ProcessUse
})

export const layerWith = (version: string) =>
  Layer.effect(
    ProcessInfo,
    Effect.map(LoopDelay.make, (loopDelay) => ({
      facts: {
        version,
        node: process.version,
        arch: goArch[process.arch] ?? process.arch,
        os: process.platform,
        hostname: os.hostname(),
        startedAtMillis: Math.round(performance.timeOrigin)
      },
      use: use(loopDelay)
    }))
  )
