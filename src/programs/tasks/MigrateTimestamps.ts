/**
 * `experimental migrate-timestamps`: sets the times of the entries of one DBI to those of the same keys in another one,
 * in one write transaction. It is meant for an application that has changed its schema and has written its data again,
 * which must keep their age.
 *
 * Values of the source begin with a timestamp of 8 bytes, as in native headers and in the shadow DBIs of release 0.2
 * (`_sync_<dbi>`), whose tombstones consist of the timestamp only. Values of the destination have native headers.
 */
import { Effect } from "effect"
import * as DbiFlags from "../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { maxKeyBytes } from "../../domain/lmdb/Limits.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { hexOf } from "../../domain/bytes/Hex.ts"
import { type Cursor, Lmdb, type WriteTransaction } from "../../services/Lmdb.ts"
import type { NotNative } from "../../services/Database.ts"
import type { MigrateTimestamps } from "../../services/LmdbTask.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import { attempt, inSlices, stepsPerLook } from "../engine/Engine.ts"
import { notNative } from "../engine/NotNative.ts"
import { TaskFailed } from "./TaskFailed.ts"

const timestampBytes = 8

interface Names {
  readonly src: DbiName.DbiName
  readonly dst: DbiName.DbiName
}

/**
 * A copy of a cursor's entry, because the next `put` of the transaction invalidates the bytes that the cursor shows.
 */
class Copied {
  readonly key = new Uint8Array(maxKeyBytes)
  keyLength = 0
  value = new Uint8Array(4_096)
  valueLength = 0

  take({ key, keyEnd, keyStart, value, valueEnd, valueStart }: Cursor): void {
    this.keyLength = keyEnd - keyStart
    this.key.set(key.subarray(keyStart, keyEnd))
    this.valueLength = valueEnd - valueStart
    if (this.valueLength > this.value.length) this.value = new Uint8Array(2 * this.valueLength)
    this.value.set(value.subarray(valueStart, valueEnd))
  }
}

const tooShort = (src: DbiName.DbiName, key: Uint8Array, length: number) =>
  new TaskFailed({
    problem:
      `DBI "${DbiName.display(src)}", key 0x${hexOf(key, 0, length)}: ` +
      `the value is shorter than a timestamp of ${timestampBytes} bytes: nothing was changed`
  })

/** Compares two times of 8 bytes each, in big-endian order. */
const isOlder = (value: Uint8Array, start: number, than: Uint8Array, thanStart: number): boolean => {
  const high = NativeHeader.timestampHigh(value, start)
  const thanHigh = NativeHeader.timestampHigh(than, thanStart)
  return high === thanHigh
    ? NativeHeader.timestampLow(value, start) < NativeHeader.timestampLow(than, thanStart)
    : high < thanHigh
}

const writeUint64 = (target: Uint8Array, at: number, value: bigint): void => {
  new DataView(target.buffer, target.byteOffset).setBigUint64(at, value)
}

/** A transaction, and the meter that counts the entries that are walked in it. */
interface Migrating {
  readonly transaction: WriteTransaction
  readonly meter: Meter
}

/** Calls `step` for each entry of a DBI, as it was before the transaction, until `step` returns a problem. */
const walk = (
  { meter, transaction }: Migrating,
  dbi: DbiName.DbiName,
  step: (cursor: Cursor) => NotNative | TaskFailed | undefined
) =>
  Effect.gen(function* () {
    let failure: NotNative | TaskFailed | undefined
    yield* Effect.acquireUseRelease(
      attempt(() => transaction.before.cursor(dbi)),
      (cursor) =>
        inSlices((deadline) => {
          for (;;) {
            for (let count = 0; count < stepsPerLook; count++) {
              if (!cursor.next()) {
                meter.add(count)
                return true
              }
              failure = step(cursor)
              if (failure !== undefined) return true
            }
            meter.add(stepsPerLook)
            if (performance.now() >= deadline) return false
          }
        }),
      (cursor) => Effect.sync(() => cursor.close())
    )
    if (failure !== undefined) return yield* failure
  })

/** Updates entries of `dst` that are older than in `src` to the time that they have there. Returns their number. */
const updateTimes = Effect.fnUntraced(function* (migrating: Migrating, names: Names) {
  const { transaction } = migrating
  const copied = new Copied()
  let updated = 0
  yield* walk(migrating, names.dst, (cursor) => {
    const code = NativeHeader.readHeader(cursor.value, cursor.valueStart, cursor.valueEnd)
    if (code < 0) return notNative(names.dst, cursor, code)
    copied.take(cursor)
    const { key, keyLength, value, valueLength } = copied
    const found = transaction.get(names.src, key, 0, keyLength)
    if (found === undefined) return undefined
    if (found.valueEnd - found.valueStart < timestampBytes) return tooShort(names.src, key, keyLength)
    if (!isOlder(value, 0, found.value, found.valueStart)) return undefined
    value.set(found.value.subarray(found.valueStart, found.valueStart + timestampBytes))
    writeUint64(value, timestampBytes, transaction.id)
    transaction.put(names.dst, key, 0, keyLength, value, 0, valueLength, false)
    updated++
    return undefined
  })
  return updated
})

/** True if release 0.2 has created the DBI, whose tombstones can only be recognized by their length. */
const isOfRelease02 = (src: DbiName.DbiName): boolean => DbiName.isPrivate(src) && !ShadowName.isShadow(src)

const isTombstone = (src: DbiName.DbiName, { value, valueEnd, valueStart }: Cursor): boolean =>
  valueEnd - valueStart === timestampBytes || (!isOfRelease02(src) && NativeHeader.isDeleted(value, valueStart))

/** Returns the problem of a value of `src`, or undefined. */
const problemOfSource = ({ src }: Names, cursor: Cursor): NotNative | TaskFailed | undefined => {
  const { key, keyEnd, keyStart, value, valueEnd, valueStart } = cursor
  const length = valueEnd - valueStart
  if (length < timestampBytes) return tooShort(src, key.subarray(keyStart, keyEnd), keyEnd - keyStart)
  if (length === timestampBytes || isOfRelease02(src)) return undefined
  const code = NativeHeader.readHeader(value, valueStart, valueEnd)
  return code < 0 ? notNative(src, cursor, code) : undefined
}

/** Adds the tombstones of `src` whose keys are not in `dst`. Returns their number. */
const addTombstones = Effect.fnUntraced(function* (migrating: Migrating, names: Names) {
  const { transaction } = migrating
  const copied = new Copied()
  const tombstone = new Uint8Array(NativeHeader.size)
  tombstone[17] = NativeHeader.deletedFlag
  let added = 0
  yield* walk(migrating, names.src, (cursor) => {
    const problem = problemOfSource(names, cursor)
    if (problem !== undefined) return problem
    if (!isTombstone(names.src, cursor)) return undefined
    copied.take(cursor)
    const { key, keyLength, value } = copied
    if (transaction.get(names.dst, key, 0, keyLength) !== undefined) return undefined
    tombstone.set(value.subarray(0, timestampBytes))
    writeUint64(tombstone, timestampBytes, transaction.id)
    transaction.put(names.dst, key, 0, keyLength, tombstone, 0, tombstone.length, false)
    added++
    return undefined
  })
  return added
})

/** Returns why a DBI cannot be used, or undefined if it can. */
const problemOf = (transaction: WriteTransaction, name: DbiName.DbiName): string | undefined => {
  const dbi = transaction.dbis().find((one) => one.name === name)
  if (dbi === undefined) return "it does not exist"
  return DbiFlags.isDupsort(dbi.flags) ? "it has MDB_DUPSORT, so its keys have more than one value" : undefined
}

/** Returns the number of entries that are walked. */
const walkedOf = (transaction: WriteTransaction, { dst, src }: Names, { addTombstones }: MigrateTimestamps): number =>
  transaction.before.dbis.reduce(
    (sum, { entries, name }) => (name === dst || (addTombstones && name === src) ? sum + entries : sum),
    0
  )

/** Runs the task. It prints nothing, because the log contains the counts. */
export const run = Effect.fn("MigrateTimestamps.run")(function* (task: MigrateTimestamps) {
  const names: Names = { src: DbiName.fromText(task.src), dst: DbiName.fromText(task.dst) }
  const { write } = yield* Lmdb
  const { measure } = yield* Progress
  const { value } = yield* write((transaction) =>
    Effect.gen(function* () {
      const exists = transaction.dbis().some(({ name }) => name === names.src)
      if (!exists && task.ignoreMissingSource) return undefined
      for (const name of [names.src, names.dst]) {
        const problem = problemOf(transaction, name)
        if (problem !== undefined)
          return yield* new TaskFailed({ problem: `DBI "${DbiName.display(name)}" cannot be used: ${problem}` })
      }
      const total = walkedOf(transaction, names, task)
      const meter = yield* measure({ label: `Migrating ${task.target.database}`, unit: "entries", total })
      const updated = yield* updateTimes({ transaction, meter }, names)
      return { updated, added: task.addTombstones ? yield* addTombstones({ transaction, meter }, names) : 0 }
    }).pipe(Effect.scoped)
  )
  if (value === undefined) yield* Effect.logWarning("There is no source DBI: nothing was migrated", { dbi: task.src })
  else yield* Effect.logInfo("Migrated timestamps", value)
  return ""
})
