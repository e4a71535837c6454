/** This process, as the system and the runtime see it: for /metrics, /healthz and the status page. */
import { Context, type Effect } from "effect"

export interface RuntimeFacts {
  /** Of this program. */
  readonly version: string
  /** Of Node: `v24.1.0`. */
  readonly node: string
  /** As Go names them, which is how Lightning Stream shows them: `amd64`, `linux`. */
  readonly arch: string
  readonly os: string
  readonly hostname: string
  readonly pid: number
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
}

export class ProcessInfo extends Context.Service<
  ProcessInfo,
  {
    readonly facts: RuntimeFacts
    readonly use: Effect.Effect<ProcessUse>
  }
>()("lightningstream/services/ProcessInfo") {}
