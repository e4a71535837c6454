/**
 * The hot loop of the copy main → shadow. It walks an application's DBI and its shadow side by side and reports the
 * differences with their new time. That is the time of the copy, but always later than the time of the replaced entry,
 * because with a clock that is behind, the others would otherwise keep what was deleted or replaced here.
 *
 * In the first copy of the process (`first`), changes that were made while it was not running get the time 1 ns, so
 * that they never win against newer data. A new key is kept. A key that is gone becomes a tombstone with that time,
 * whatever the time of the shadow's entry, so any snapshot that still has the key brings it back. A changed value
 * loses, unless the shadow's time is also 1 and the new value is smaller. The next copy then gives values that still
 * differ the current time. Source: docs/sync.md.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import { compareBytes, Sides } from "../../../domain/bytes/ByteOrder.ts"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import { compareKeys, integer, type KeyOrder } from "../../../domain/lmdb/KeyOrder.ts"
import * as NativeHeader from "../../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { ForwardCursor, Dbi } from "../../../services/Lmdb.ts"
import { notNative } from "../NotNative.ts"
import { otherKeys, otherShadow } from "../SyncedDbis.ts"

/** Receives an entry to write to the shadow: its key and application value in place. A tombstone has no value. */
export interface ShadowChanges {
  readonly change: (
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    timestampHigh: number,
    timestampLow: number,
    deleted: boolean
  ) => void
}

/** The time that a copy gives to changes: the current time, or 1 ns at the start of the process. */
export interface Stamp {
  readonly first: boolean
  readonly high: number
  readonly low: number
}

const largestHalf = 0xffff_ffff

/** True if the time of the shadow's entry is 1 ns. */
const isFirstTime = (value: Uint8Array, start: number): boolean =>
  NativeHeader.timestampHigh(value, start) === 0 && NativeHeader.timestampLow(value, start) === 1

export class ShadowWalk {
  private readonly dbi: Dbi
  private readonly dupsort: boolean
  private readonly order: KeyOrder
  private readonly stamp: Stamp
  private readonly main: ForwardCursor
  private readonly shadow: ForwardCursor | undefined
  private readonly changes: ShadowChanges
  private hasMain = false
  private hasShadow = false
  private started = false
  private readonly keys = new Sides()
  private readonly values = new Sides()

  /** Creates a walk. `shadow` is undefined if there is no shadow yet. */
  constructor(
    dbi: Dbi,
    order: KeyOrder,
    stamp: Stamp,
    main: ForwardCursor,
    shadow: ForwardCursor | undefined,
    changes: ShadowChanges
  ) {
    this.dbi = dbi
    this.dupsort = DbiFlags.isDupsort(dbi.flags)
    this.order = order
    this.stamp = stamp
    this.main = main
    this.shadow = shadow
    this.changes = changes
  }

  /** Continues for at most `steps` steps. Returns true when both cursors are at their end. */
  run(steps: number): boolean {
    if (!this.started) {
      this.started = true
      this.hasMain = this.main.next()
      this.hasShadow = this.shadow !== undefined && this.shadow.next()
      this.checkLengths()
    }
    const { main, shadow } = this
    while (steps-- > 0) {
      if (shadow === undefined || !this.hasShadow) {
        if (!this.hasMain) return true
        this.put()
        this.hasMain = main.next()
        continue
      }
      const difference = this.hasMain
        ? compareKeys(
            this.order,
            main.key,
            main.keyStart,
            main.keyEnd,
            shadow.key,
            shadow.keyStart,
            shadow.keyEnd,
            this.keys
          )
        : 1
      if (difference < 0) {
        this.put()
        this.hasMain = main.next()
        continue
      }
      const value = NativeHeader.readHeader(shadow.value, shadow.valueStart, shadow.valueEnd)
      if (value < 0) throw notNative(ShadowName.of(this.dbi.name), shadow, value)
      if (difference > 0) {
        if (this.dupsort && !DupsortKey.isLayout(shadow.key, shadow.keyStart, shadow.keyEnd)) {
          throw otherKeys(this.dbi)
        }
        if (!NativeHeader.isDeleted(shadow.value, shadow.valueStart)) this.change(shadow, 0, 0, shadow, true)
      } else {
        this.both(shadow, value)
        shadow.forget()
        this.hasMain = main.next()
      }
      this.hasShadow = shadow.next()
    }
    return false
  }

  close(): void {
    this.main.close()
    this.shadow?.close()
  }

  /** Checks that integer keys have one length, because those of 4 and of 8 bytes have no common order. */
  private checkLengths(): void {
    const { main, shadow } = this
    if (this.order !== integer || shadow === undefined || !this.hasMain || !this.hasShadow) return
    const length = shadow.keyEnd - shadow.keyStart
    if (length !== main.keyEnd - main.keyStart) throw otherShadow(this.dbi, `integer keys of ${length} bytes`)
  }

  private put(before?: ForwardCursor): void {
    const { main } = this
    this.change(main, main.valueStart, main.valueEnd, before, false)
  }

  /** Reports a change. `before` is the shadow's entry with that key, if there is one. */
  private change(
    from: ForwardCursor,
    valueStart: number,
    valueEnd: number,
    before: ForwardCursor | undefined,
    deleted: boolean
  ): void {
    let { high, low } = this.stamp
    if (before !== undefined && !this.stamp.first) {
      const beforeHigh = NativeHeader.timestampHigh(before.value, before.valueStart)
      const beforeLow = NativeHeader.timestampLow(before.value, before.valueStart)
      if (beforeHigh > high || (beforeHigh === high && beforeLow >= low)) {
        const carries = beforeLow === largestHalf && beforeHigh < largestHalf
        high = carries ? beforeHigh + 1 : beforeHigh
        low = carries ? 0 : Math.min(beforeLow + 1, largestHalf)
      }
    }
    this.changes.change(from.key, from.keyStart, from.keyEnd, from.value, valueStart, valueEnd, high, low, deleted)
  }

  private both(shadow: ForwardCursor, value: number): void {
    const { main } = this
    if (NativeHeader.isDeleted(shadow.value, shadow.valueStart)) {
      if (!this.stamp.first) this.put(shadow)
      return
    }
    const difference = compareBytes(
      main.value,
      main.valueStart,
      main.valueEnd,
      shadow.value,
      value,
      shadow.valueEnd,
      this.values
    )
    if (difference === 0) return
    if (!this.stamp.first || (difference < 0 && isFirstTime(shadow.value, shadow.valueStart))) this.put(shadow)
  }
}
