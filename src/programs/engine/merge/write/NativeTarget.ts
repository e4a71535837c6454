/** The target of a merge in native mode, where the values of the application's DBIs have the headers themselves. */
import type { DbiName } from "../../../../domain/lmdb/DbiName.ts"
import type { EntryBatch } from "../../../../domain/snapshot/EntryBatch.ts"
import type { DbiHead } from "../../../../domain/snapshot/SnapshotRules.ts"
import type { WriteTransaction } from "../../../../services/Lmdb.ts"
import { HeaderedValue } from "../../HeaderedValue.ts"
import { checkNative } from "../../SyncedDbis.ts"
import type { Entered, Target } from "./Target.ts"

export class NativeTarget implements Target {
  written = 0
  private readonly value: HeaderedValue
  private transaction: WriteTransaction | undefined
  private dbi: DbiName | undefined
  private append = false

  constructor(paddingBlocks: number) {
    this.value = new HeaderedValue(paddingBlocks)
  }

  begin(transaction: WriteTransaction): void {
    this.transaction = transaction
    this.value.begin(transaction.id)
  }

  exists(dbi: DbiName): boolean {
    return this.find(dbi) !== undefined
  }

  enter(head: DbiHead): Entered {
    const found = this.find(head.name)
    if (found === undefined) this.transaction!.create(head.name, 0)
    return { entries: found?.entries ?? 0, prepare: undefined }
  }

  into(head: DbiHead, append: boolean): void {
    this.dbi = head.name
    this.append = append
  }

  take(batch: EntryBatch, i: number, deleted: boolean): void {
    this.value.buildFrom(batch, i, deleted)
    this.transaction!.put(
      this.dbi!,
      batch.bytes,
      batch.keyStart[i]!,
      batch.keyEnd[i]!,
      this.value.bytes,
      0,
      this.value.length,
      this.append
    )
    this.written++
  }

  end(): void {
    this.transaction = undefined
  }

  private find(name: DbiName) {
    const dbi = this.transaction!.dbis().find((dbi) => dbi.name === name)
    if (dbi !== undefined) checkNative(dbi)
    return dbi
  }
}
