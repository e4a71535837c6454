/**
 * The model of an instance in shadow mode with one DBI: what the application has, and what the shadow says of it,
 * written as plainly as docs/sync.md says it. A change of the application's has the time of the copy that finds it, but
 * a later one than what it takes the place of.
 */
import { type Version, wins } from "./LastWriteWins.ts"

export type Versions = Map<string, Version>

/** 1 ns. */
const first = 1n

const later = (now: bigint, before: Version | undefined): bigint =>
  before === undefined || before.timestamp < now ? now : before.timestamp + 1n

export class ShadowModel {
  /** By the shadow's key; undefined: the application has no such DBI. */
  main: Map<string, string> | undefined
  shadow: Versions = new Map()

  /** The first copy of a process. */
  start(): void {
    if (this.main === undefined) return
    for (const [key, value] of this.main) {
      const there = this.shadow.get(key)
      const isSmaller = there?.timestamp === first && !there.deleted && value < there.value
      if (there === undefined || isSmaller) this.shadow.set(key, { timestamp: first, deleted: false, value })
    }
    for (const [key, { deleted }] of this.shadow) {
      if (!deleted && !this.main.has(key)) this.shadow.set(key, { timestamp: first, deleted: true, value: "" })
    }
  }

  copy(now: bigint): void {
    if (this.main === undefined) return
    for (const [key, value] of this.main) {
      const there = this.shadow.get(key)
      if (there === undefined || there.deleted || there.value !== value)
        this.shadow.set(key, { timestamp: later(now, there), deleted: false, value })
    }
    for (const [key, there] of this.shadow) {
      if (!there.deleted && !this.main.has(key))
        this.shadow.set(key, { timestamp: later(now, there), deleted: true, value: "" })
    }
  }

  /** Undefined: the snapshot does not have the DBI. */
  dump(now: bigint): Versions | undefined {
    this.copy(now)
    return this.main === undefined ? undefined : new Map(this.shadow)
  }

  merge(snapshot: Versions | undefined, now: bigint): void {
    this.copy(now)
    if (snapshot === undefined) return
    for (const [key, version] of snapshot) if (wins(this.shadow.get(key), version)) this.shadow.set(key, version)
    this.main = new Map(
      Array.from(this.shadow)
        .filter(([, { deleted }]) => !deleted)
        .map(([key, { value }]) => [key, value])
    )
  }
}
