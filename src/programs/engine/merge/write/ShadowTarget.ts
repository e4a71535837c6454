/**
 * The target of a merge in shadow mode. Each entry is put into the shadow, and the application's DBI (main) is updated
 * in the same transaction. Before the merge, the copy main → shadow has made main equal to the live entries of the
 * shadow, and it is equal to them again afterwards. In main, only keys that differ are written.
 *
 * A missing DBI is created with the flags of the snapshot or of `override_create_flags`, and filled from its shadow if
 * that exists.
 */
import { compareBytes } from "../../../../domain/bytes/ByteOrder.ts"
import * as DbiFlags from "../../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../../domain/lmdb/DbiName.ts"
import * as DupsortKey from "../../../../domain/lmdb/DupsortKey.ts"
import type { EntryBatch } from "../../../../domain/snapshot/EntryBatch.ts"
import * as NativeHeader from "../../../../domain/lmdb/NativeHeader.ts"
import * as ShadowFlags from "../../../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../../../domain/lmdb/ShadowName.ts"
import { type DbiHead, SnapshotRefused } from "../../../../domain/snapshot/SnapshotRules.ts"
import { LmdbError, type WriteTransaction } from "../../../../services/Lmdb.ts"
import { HeaderedValue } from "../../HeaderedValue.ts"
import { fill } from "../../shadow/ShadowFill.ts"
import { checkShadow } from "../../SyncedDbis.ts"
import type { Entered, Target } from "./Target.ts"
import { hexOf } from "../../../../domain/bytes/Hex.ts"

export interface ShadowOptions {
  readonly dupsortHack: boolean
  /** Flags with which a DBI is created, by the name of the DBI (`override_create_flags`). */
  readonly createFlags: ReadonlyMap<DbiName.DbiName, number>
}

/**
 * Turns the error of LMDB about a pair that the application's DBI cannot hold into a refusal of the snapshot. The value
 * is empty beside other values, too long, or not of the size of the other values of an MDB_DUPFIXED DBI. Other errors
 * are returned unchanged.
 */
const refusedPair = (
  dbi: DbiName.DbiName,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  thrown: unknown
): unknown => {
  if (
    !(thrown instanceof LmdbError) ||
    thrown.reason._tag !== "LmdbFailure" ||
    thrown.reason.code !== "MDB_BAD_VALSIZE"
  )
    return thrown
  const hex = hexOf(key, keyStart, keyEnd)
  return new SnapshotRefused({
    problem: `DBI "${DbiName.display(dbi)}", key 0x${hex}: its value cannot be put: ${thrown.reason.detail}`
  })
}

export class ShadowTarget implements Target {
  written = 0
  private readonly options: ShadowOptions
  private readonly value: HeaderedValue
  private transaction: WriteTransaction | undefined
  private main: DbiName.DbiName | undefined
  private shadow: DbiName.DbiName | undefined
  private dupsort = false
  private append = false

  constructor(options: ShadowOptions, paddingBlocks: number) {
    this.options = options
    this.value = new HeaderedValue(paddingBlocks)
  }

  begin(transaction: WriteTransaction): void {
    this.transaction = transaction
    this.value.begin(transaction.id)
  }

  exists(dbi: DbiName.DbiName): boolean {
    return this.find(dbi) !== undefined
  }

  enter(head: DbiHead): Entered {
    const transaction = this.transaction!
    const name = ShadowName.of(head.name)
    const main = this.find(head.name)
    const flags = main?.flags ?? this.options.createFlags.get(head.name) ?? Number(head.flags)
    if (main === undefined) {
      checkShadow({ name: head.name, flags, entries: 0 }, this.options.dupsortHack)
      transaction.create(head.name, flags)
    }
    const shadow = this.find(name)
    if (shadow === undefined) transaction.create(name, ShadowFlags.of(flags))
    const entries = shadow?.entries ?? 0
    return { entries, prepare: main === undefined && entries > 0 ? fill(transaction, head.name, flags) : undefined }
  }

  into(head: DbiHead, append: boolean): void {
    this.main = head.name
    this.shadow = ShadowName.of(head.name)
    const { flags } = this.find(head.name)!
    this.dupsort = DbiFlags.isDupsort(flags)
    this.append = append
  }

  take(batch: EntryBatch, i: number, deleted: boolean): void {
    const transaction = this.transaction!
    const keyStart = batch.keyStart[i]!
    const keyEnd = batch.keyEnd[i]!
    // This must come before the shadow's old entry is overwritten, because that entry shows which pair is in main.
    if (this.dupsort) this.mirrorPair(batch, i, deleted)
    else if (deleted) transaction.remove(this.main!, batch.bytes, keyStart, keyEnd)
    else this.mirrorKey(batch, i)
    this.value.buildFrom(batch, i, deleted)
    transaction.put(this.shadow!, batch.bytes, keyStart, keyEnd, this.value.bytes, 0, this.value.length, this.append)
    this.written++
  }

  end(): void {
    this.transaction = undefined
  }

  private find(name: DbiName.DbiName) {
    const dbi = this.transaction!.dbis().find((dbi) => dbi.name === name)
    if (dbi !== undefined && !DbiName.isPrivate(name)) checkShadow(dbi, this.options.dupsortHack)
    return dbi
  }

  private mirrorKey(batch: EntryBatch, i: number): void {
    const transaction = this.transaction!
    const { bytes } = batch
    const keyStart = batch.keyStart[i]!
    const keyEnd = batch.keyEnd[i]!
    const valueStart = batch.valueStart[i]!
    const valueEnd = batch.valueEnd[i]!
    if (!this.append) {
      const there = transaction.get(this.main!, bytes, keyStart, keyEnd)
      if (
        there !== undefined &&
        compareBytes(there.value, there.valueStart, there.valueEnd, bytes, valueStart, valueEnd) === 0
      )
        return
    }
    transaction.put(this.main!, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, this.append)
  }

  private mirrorPair(batch: EntryBatch, i: number, deleted: boolean): void {
    const transaction = this.transaction!
    const { bytes } = batch
    const start = batch.keyStart[i]!
    const end = DupsortKey.keyEnd(bytes, start, batch.keyEnd[i]!)
    const there = transaction.get(this.shadow!, bytes, start, batch.keyEnd[i]!)
    if (there !== undefined && !NativeHeader.isDeleted(there.value, there.valueStart)) {
      const value = NativeHeader.readHeader(there.value, there.valueStart, there.valueEnd)
      const same =
        !deleted &&
        compareBytes(there.value, value, there.valueEnd, bytes, batch.valueStart[i]!, batch.valueEnd[i]!) === 0
      if (same) return
      transaction.removePair(this.main!, bytes, start, end, there.value, value, there.valueEnd)
    }
    if (deleted) return
    this.makeRoom(bytes, start, end, batch.valueEnd[i] === batch.valueStart[i])
    try {
      transaction.put(this.main!, bytes, start, end, bytes, batch.valueStart[i]!, batch.valueEnd[i]!, false)
    } catch (thrown) {
      throw refusedPair(this.main!, bytes, start, end, thrown)
    }
  }

  /**
   * Makes room for a value of the key. An empty value must be the only value of its key, so an empty value replaces the
   * others, and any other value replaces an empty one. The snapshot deletes the replaced pair with an entry that comes
   * later: PairOrderCheck has verified that, or ends the transaction.
   */
  private makeRoom(bytes: Uint8Array, start: number, end: number, isEmpty: boolean): void {
    const transaction = this.transaction!
    const found = transaction.get(this.main!, bytes, start, end)
    if (found !== undefined && (found.valueStart === found.valueEnd) !== isEmpty)
      transaction.remove(this.main!, bytes, start, end)
  }
}
