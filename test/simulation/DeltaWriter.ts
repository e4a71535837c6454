/**
 * An instance that writes deltas and full snapshots as a sender does, and that knows what an instance that has followed
 * them must contain. Bugs can be planted in it: a delta that misses an entry, a delta whose content begins later than
 * its name says, and a cleaner that removes objects that are needed.
 */
import { Effect } from "effect"
import type { Bucket } from "../programs/daemon/World.ts"
import { deltaNameOf, epoch, nameOf } from "../programs/daemon/World.ts"
import { type Line, object } from "../support/fixtures/Snapshots.ts"
import type { Choices } from "./Choices.ts"

export interface WriterBug {
  readonly missesEntry?: boolean
  readonly beginsLate?: boolean
  readonly cleansUncovered?: boolean
}

/** There are so many keys that a missed one is not soon changed again. */
const keys = Array.from({ length: 16 }, (_, i) => `k${i}`)

/** Corresponds to the sixteen of a sender, but for short histories. */
const radix = 3

const spanOf = (n: number): number => {
  let span = 1
  while (n % (span * radix) === 0) span *= radix
  return span
}

export class DeltaWriter {
  readonly instance: string
  private readonly bucket: Bucket
  private readonly choices: Choices
  private readonly bug: WriterBug
  private readonly content = new Map<string, Line>()
  /** Times of the objects that were stored since the last full snapshot, which comes first. */
  private stored: Array<number> = []
  /** Keys that have changed between the previous object and the object of each time. */
  private readonly changed = new Map<number, ReadonlySet<string>>()
  private pending = new Set<string>()
  private time = epoch
  private ticks = 0
  /** True if a delta was lost after it counted as stored. Its content is only in the next full snapshot. */
  isHurt = false

  constructor(instance: string, bucket: Bucket, choices: Choices, bug: WriterBug) {
    this.instance = instance
    this.bucket = bucket
    this.choices = choices
    this.bug = bug
  }

  /** The entries that were stored. */
  get lines(): ReadonlyArray<Line> {
    return Array.from(this.content.values())
  }

  private change(): void {
    for (const key of keys) {
      if (!this.choices.chance(0.12)) continue
      this.ticks++
      this.content.set(key, [key, this.ticks, this.choices.chance(0.3) ? null : `${this.instance}${this.ticks}`])
      this.pending.add(key)
    }
  }

  /** Changes entries and stores them. `now` is in milliseconds since the UNIX epoch. */
  send(now: number) {
    return Effect.suspend(() => {
      this.change()
      this.time = Math.max(now, this.time + 1)
      const isFirst = this.stored.length === 0
      const sendsDelta = !isFirst && this.pending.size > 0
      return Effect.andThen(
        sendsDelta ? this.sendDelta() : Effect.void,
        Effect.suspend(() => (isFirst || this.choices.chance(0.15) ? this.sendFull() : Effect.void))
      )
    })
  }

  private sendDelta() {
    const n = this.stored.length
    const from = this.stored[n - spanOf(n)]!
    this.changed.set(this.time, this.pending)
    this.pending = new Set()
    this.stored.push(this.time)
    const begin = this.bug.beginsLate === true && spanOf(n) > 1 ? this.stored.at(-2)! : from
    const changed = new Set<string>()
    for (const [at, some] of this.changed) if (at > begin) for (const key of some) changed.add(key)
    const lines = Array.from(changed, (key) => this.content.get(key)!)
    if (this.bug.missesEntry === true && lines.length > 1) lines.pop()
    if (this.choices.chance(0.05)) {
      this.isHurt = true
      return Effect.void
    }
    return this.bucket.putDelta(this.instance, from, this.time, { d: lines })
  }

  /** Stores a full snapshot of the state of the last delta, with the time of that delta. */
  sendFull() {
    return Effect.suspend(() => {
      this.pending = new Set()
      this.stored = [this.time]
      this.isHurt = false
      return this.bucket.store(nameOf(this.instance, this.time), object({ d: this.lines }))
    })
  }

  /** Removes the objects that the last full snapshot covers. */
  clean() {
    return Effect.gen({ self: this }, function* () {
      const full = this.stored[0]
      if (full === undefined) return
      const last = nameOf(this.instance, full)
      const deltas = this.stored.slice(1).map((at, index) => deltaNameOf(this.instance, this.startOf(index + 1), at))
      for (const name of yield* this.bucket.names) {
        if (!name.startsWith(`main__${this.instance}__`) || name === last) continue
        if (deltas.includes(name) && !(this.bug.cleansUncovered === true && this.choices.chance(0.3))) continue
        yield* this.bucket.storage.delete(name)
      }
    })
  }

  private startOf(n: number): number {
    return this.stored[n - spanOf(n)]!
  }
}
