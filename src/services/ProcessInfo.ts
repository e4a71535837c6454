/** Facts about this process from the system and the runtime, for /metrics, /healthz and the status page. */
import { Context, type Effect } from "effect"

export interface RuntimeFacts {
  /** Version of this program. */
  readonly version: string
  /** Version of Node, such as `v24.1.0`. */
  readonly node: string
  /** Names of the architecture and the system as Go and Lightning Stream use them, such as `amd64` and `linux`. */
  readonly arch: string
  readonly os: string
  readonly hostname: string
  /** Start of the process in milliseconds since the UNIX epoch. */
  readonly startedAtMillis: number
}

/** Resources that this process uses. A value is undefined where the system does not provide it. */
export interface ProcessUse {
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly anonymousBytes: number | undefined
  readonly virtualBytes: number | undefined
  readonly openFiles: number | undefined
  readonly maxFiles: number | undefined
  /** Sizes of the heap of the main thread. */
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  readonly externalBytes: number
  /** Recent delays of the main thread's event loop: the 99th percentile and the longest. */
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
