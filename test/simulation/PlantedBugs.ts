/**
 * Negative controls: plausible bugs that are planted through decorators. Each function creates a new one for each run.
 */
import { Effect, type Layer } from "effect"
import * as NativeHeader from "../../src/domain/lmdb/NativeHeader.ts"
import { Changes, DumpResult } from "../../src/services/Database.ts"
import type { Lmdb, LmdbError, WriteTransaction } from "../../src/services/Lmdb.ts"
import { changedWrites } from "../support/fakes/ChangedWrites.ts"
import { replacing } from "../support/fakes/ReplacedLmdb.ts"
import type { Bug } from "./Simulation.ts"

type Put = WriteTransaction["put"]
type Arguments = Parameters<Put>

/** Replaces the put of write transactions. */
const putting = (other: (transaction: WriteTransaction) => Put) =>
  changedWrites((transaction) => ({ put: other(transaction) }))

/** Omits the puts for which `isLost` returns true. */
const losing = (isLost: (transaction: WriteTransaction, ...put: Arguments) => boolean) =>
  putting((transaction) => (...entry) => {
    if (!isLost(transaction, ...entry)) transaction.put(...entry)
  })

/** Returns true if the existing entry has the same time. */
const isTie = (
  transaction: WriteTransaction,
  ...[dbi, key, keyStart, keyEnd, value, valueStart]: Arguments
): boolean => {
  const local = transaction.get(dbi, key, keyStart, keyEnd)
  return (
    local !== undefined &&
    NativeHeader.timestampHigh(local.value, local.valueStart) === NativeHeader.timestampHigh(value, valueStart) &&
    NativeHeader.timestampLow(local.value, local.valueStart) === NativeHeader.timestampLow(value, valueStart)
  )
}

/** Omits one changed key in five, as if its page were not compared. */
const missingChanges = (lmdb: Layer.Layer<Lmdb, LmdbError>) => {
  let keys = 0
  return replacing(lmdb, (inner) => ({
    changes: (before, after, sink) =>
      inner.changes(before, after, { ...sink, key: (...key) => ++keys % 5 === 0 || sink.key(...key) })
  }))
}

export const bugs: Readonly<Record<string, () => Bug>> = {
  "on a tie everybody keeps what he has": () => ({ lmdb: losing(isTie) }),
  "deletions of others are not taken over": () => ({
    lmdb: losing((_, ...[, , , , value, valueStart]) => NativeHeader.isDeleted(value, valueStart))
  }),
  "one entry of a merge gets lost": () => {
    let puts = 0
    return { lmdb: losing(() => ++puts % 7 === 0) }
  },
  "a commit of the application beside one of ours is missed": () => ({
    database: (database) => {
      let ours = 0n
      return {
        ...database,
        merge: (request) =>
          Effect.tap(database.merge(request), ([{ transactionId }]) => Effect.sync(() => void (ours = transactionId))),
        changes: Effect.map(
          database.changes,
          (changes) => new Changes({ ...changes, lastForeign: changes.last > ours ? changes.lastForeign : 0n })
        )
      }
    }
  }),
  "what a merge wrote counts as a change of the application's": () => ({
    database: (database) => ({
      ...database,
      changes: Effect.map(database.changes, (changes) => new Changes({ ...changes, lastForeign: changes.last }))
    })
  }),
  "a failed store is taken for a success": () => ({
    storage: (storage) => ({
      ...storage,
      store: (name, source) => Effect.catchTag(storage.store(name, source), "StorageError", () => Effect.void)
    })
  }),
  "our own old snapshot is not looked at": () => ({
    storage: (storage, instance) => ({
      ...storage,
      list: (prefix) =>
        Effect.map(storage.list(prefix), (objects) => objects.filter(({ name }) => !name.includes(`__${instance}__`)))
    })
  }),
  "snapshots are cleaned that not everybody has merged": () => ({
    storage: (storage, instance) => ({
      ...storage,
      list: (prefix) =>
        Effect.tap(storage.list(prefix), (objects) =>
          Effect.forEach(objects.filter(({ name }) => !name.includes(`__${instance}__`)).slice(0, -1), ({ name }) =>
            storage.delete(name)
          )
        )
    })
  }),
  "an old dump is sent under a new name": () => ({
    database: (database) => {
      let kept: DumpResult | undefined
      return {
        ...database,
        dump: (request) =>
          Effect.map(database.dump(request), (result) => {
            kept ??= result
            return new DumpResult({ ...result, spooled: kept.spooled })
          })
      }
    }
  })
}

const isShadow = (dbi: string) => dbi.startsWith("_sync_shadow_")

/** Puts an older time, as if the copy main → shadow did not consider the time of the version that it replaces. */
const putOlder =
  (transaction: WriteTransaction): Put =>
  (dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append) => {
    const copy = Buffer.from(value.subarray(valueStart, valueEnd))
    const before = isShadow(dbi) ? transaction.get(dbi, key, keyStart, keyEnd) : undefined
    const time =
      before === undefined
        ? undefined
        : Buffer.from(before.value.subarray(before.valueStart, before.valueEnd)).readBigUInt64BE()
    if (time !== undefined && copy.readBigUInt64BE() === time + 1n) copy.writeBigUInt64BE(time - 1n)
    transaction.put(dbi, key, keyStart, keyEnd, copy, 0, copy.length, append)
  }

/** Compares every third state with itself, as if the pin had moved on without a comparison. */
const movingOn = (lmdb: Layer.Layer<Lmdb, LmdbError>) => {
  let comparisons = 0
  return replacing(lmdb, (inner) => ({
    changes: (before, after, sink) => inner.changes(++comparisons % 3 === 0 ? after : before, after, sink)
  }))
}

/** Bugs for fleets whose changes are small. */
export const deltaBugs: typeof bugs = {
  "a delta lacks keys that have changed": () => ({ lmdb: missingChanges }),
  "the pin moves on without a comparison": () => ({ lmdb: movingOn })
}

/** Bugs for fleets that sweep. */
export const sweepBugs: typeof bugs = {
  "tombstones are swept before they are sent": () => ({
    database: (database) => ({
      ...database,
      changes: Effect.andThen(
        database.sweep({ olderThanNano: 2n ** 63n, lockMillis: 0, releaseMillis: 1 }),
        database.changes
      )
    })
  })
}

/** Bugs for shadow mode. */
export const shadowBugs: typeof bugs = {
  ...bugs,
  "a changed key is not noticed": () => ({ lmdb: missingChanges }),
  "the pin moves on without a comparison": () => ({ lmdb: movingOn }),
  "a change has an older time than what it takes the place of": () => ({ lmdb: putting(putOlder) })
}
