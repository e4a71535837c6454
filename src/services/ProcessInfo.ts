/** Facts about this process from the system and the runtime, for /metrics, /healthz and the status page. */
import { Context, type Effect } from "effect"

export interface RuntimeFacts {
  /** Version of this program. */
  readonly version: string
  /** Version of Node, such as `v24.1.0`. */
  readonly node: string
  /** Names as Go and Lightning Stream have them, such as `amd64` and `linux`. */
  readonly arch: string
  readonly os: string
  readonly hostname: string
  /** Milliseconds since the UNIX epoch. */
  readonly startedAtMillis: number
}

/** Undefined: this system does not say. */
export interface ProcessUse {
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly anonymousBytes: number | undefined
  readonly virtualBytes: number | undefined
  readonly openFiles: number | undefined
  readonly maxFiles: number | undefined
  /** Of the heap of the main thread. */
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  readonly externalBytes: number
  /** Of the event loop of the main thread, lately: the 99th percentile, and the longest. */
  readonly loopDelayP99Millis: number
  readonly loopDelayLongestMillis: number
}

export class ProcessInfo extends Context.Service<
  ProcessInfo,
  {
    readonly facts: RuntimeFacts
    readonly use: Effect.Effect<ProcessUse>
  }
>()("lightningstream/services/ProcessInfo") {}
