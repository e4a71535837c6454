/**
 * `Database` in the calling thread: for tests and the simulation, and inside the worker. It blocks the thread while the
 * engine computes, a slice at a time, and while LMDB does.
 *
 * At most one merge and one dump are under way per thread, whatever the number of databases: they are what takes
 * memory.
 */
import { Effect, Exit, Layer, Semaphore } from "effect"
import type { DbiName } from "../../domain/lmdb/DbiName.ts"
import { KeyTracker } from "../../programs/engine/changes/KeyTracker.ts"
import { ChangeLog } from "../../programs/engine/changes/ChangeLog.ts"
import { ChangeTracker } from "../../programs/engine/ChangeTracker.ts"
import { dump } from "../../programs/engine/dump/Dump.ts"
import { dumpDelta } from "../../programs/engine/dump/DeltaDump.ts"
import { attempt, type EngineError } from "../../programs/engine/Engine.ts"
import { KnownMembers } from "../../programs/engine/merge/KnownMembers.ts"
import { WalkedDbis } from "../../programs/engine/merge/WalkedDbis.ts"
import { merge } from "../../programs/engine/merge/Merge.ts"
import * as Mode from "../../programs/engine/merge/Mode.ts"
import * as ShadowCopy from "../../programs/engine/shadow/ShadowCopy.ts"
import { newest } from "../../programs/engine/NewestTimestamp.ts"
import * as StaleMark from "../../programs/engine/StaleMark.ts"
import { sweep } from "../../programs/engine/TombstoneSweep.ts"
import { syncedDbis } from "../../programs/engine/SyncedDbis.ts"
import * as WriteTransactions from "../../programs/engine/WriteTransactions.ts"
import { Changes, Database, DatabaseError, type DatabaseOptions } from "../../services/Database.ts"
import { GarbageCollector } from "../../services/GarbageCollector.ts"
import { Lmdb } from "../../services/Lmdb.ts"
import type { Compression } from "../../services/Compression.ts"
import type { Spool } from "../../services/Spool.ts"
import type { EngineDatabase, Exclusively } from "../../programs/engine/EngineDatabase.ts"
import * as MappedMemory from "../process/MappedMemory.ts"

/**
 * Uncompressed bytes of a dump or merge that leaves so little behind that a collection, which takes 10 ms, would only
 * delay what comes next. V8 collects what many of them leave.
 */
const smallSize = 8 * 2 ** 20

const isSmall = ({ uncompressedSize }: { readonly uncompressedSize: number }): boolean => uncompressedSize < smallSize

const oneMerge = Semaphore.makeUnsafe(1)
const oneDump = Semaphore.makeUnsafe(1)

/** Fails with the error of an operation that names the database. */
const named = (database: string, operation: DatabaseError["operation"]) =>
  Effect.mapError((reason: EngineError) => new DatabaseError({ database, operation, reason }))

/** Returns the last transaction id of the LMDB, and whether it holds no data yet. */
const lookAround = (mode: Mode.Mode) =>
  Effect.scoped(
    Effect.gen(function* () {
      const transaction = yield* (yield* Lmdb).read
      const dbis = yield* attempt(() => syncedDbis(transaction.dbis, mode.check))
      const holdsNothing = (name: DbiName) => transaction.dbis.every((dbi) => dbi.name !== name || dbi.entries === 0)
      return {
        id: transaction.id,
        empty: dbis.every((dbi) => dbi.entries === 0 && holdsNothing(mode.headersOf(dbi.name)))
      }
    })
  )

interface Opened {
  readonly id: bigint
  readonly empty: boolean
}

/** Returns the state of a database. In shadow mode, and for deltas, it follows the keys that change as well. */
const changesOf = Effect.fnUntraced(function* ({ changes, mode, options, tracker }: EngineDatabase, opened: Opened) {
  const lmdb = yield* Lmdb
  const last = yield* lmdb.lastTransactionId
  tracker.observe(last)
  const stored = yield* lmdb.storedTransactionId
  const ids = { last, stored, lastForeign: tracker.lastForeign, atOpen: opened.id, emptyAtOpen: opened.empty }
  if (mode.shadow === undefined && !options.deltas) return new Changes(ids)
  const before = process.threadCpuUsage()
  yield* changes.poll
  const { system, user } = process.threadCpuUsage(before)
  return new Changes({ ...ids, tracking: { ...(yield* changes.tracking), renewalMillis: (user + system) / 1_000 } })
})

const databaseOf = (options: DatabaseOptions, mode: Mode.Mode, { id }: Opened): EngineDatabase => {
  const walked = new WalkedDbis()
  const changes = new KeyTracker(options.deltas ? new ChangeLog(mode.shadow !== undefined) : undefined, walked)
  return {
    options,
    mode,
    tracker: new ChangeTracker(id),
    changes,
    shadow: { started: false, copiedThrough: undefined, changes },
    known: new KnownMembers(),
    walked,
    untoldLockMillis: 0,
    last: undefined
  }
}

const make = Effect.fnUntraced(function* (options: DatabaseOptions) {
  const { name } = options
  const lmdb = yield* Lmdb
  const { collect } = yield* GarbageCollector
  const context = yield* Effect.context<Lmdb | Compression | Spool>()

  const { mapSize } = yield* named(name, "open")(lmdb.info)
  const mode = Mode.of(options, mapSize)

  const opened = yield* lookAround(mode).pipe(named(name, "open"))
  const database = databaseOf(options, mode, opened)
  const { changes, tracker } = database
  yield* Effect.addFinalizer(() => changes.release)

  // Changes made while this process was not running must not win against newer data. If the map is full, the first dump
  // or merge tries again.
  if (mode.shadow !== undefined) {
    yield* ShadowCopy.start(mode, database.shadow, WriteTransactions.begin(tracker, 0)).pipe(
      Effect.catchReason("LmdbError", "MapFull", () => Effect.void),
      named(name, "open")
    )
  }

  // In shadow mode, a copy main → shadow or a part of a sweep during a merge would make the merge begin again.
  const oneWriter = Semaphore.makeUnsafe(1)
  const exclusively: Exclusively = (effect) => (mode.shadow === undefined ? effect : oneWriter.withPermits(1)(effect))

  // The slot is released last, when the buffers have been dropped and collected.
  const inSlot = <A, E>(
    slot: Semaphore.Semaphore,
    use: Effect.Effect<A, E>,
    skip: (result: A) => boolean = () => false
  ) =>
    slot.withPermits(1)(
      Effect.onExit(use, (exit) => (Exit.isSuccess(exit) && skip(exit.value) ? Effect.void : collect))
    )

  return Database.of({
    name,
    touched: Effect.never,
    changes: Effect.provideContext(changesOf(database, opened), context).pipe(named(name, "changes")),
    dump: (request) =>
      inSlot(oneDump, Effect.provideContext(dump(database, request, exclusively), context), isSmall).pipe(
        named(name, "dump")
      ),
    dumpDelta: (request) =>
      inSlot(
        oneDump,
        Effect.provideContext(dumpDelta(database, request, exclusively), context),
        (result) => result === undefined || isSmall(result)
      ).pipe(named(name, "dump")),
    merge: (request) =>
      inSlot(oneMerge, exclusively(Effect.provideContext(merge(database, request), context)), (results) =>
        isSmall({ uncompressedSize: results.reduce((sum, result) => sum + result.uncompressedSize, 0) })
      ).pipe(named(name, "merge")),
    sweep: (request) =>
      Effect.provideContext(sweep(database, request, exclusively), context).pipe(named(name, "sweep")),
    newest: Effect.provideContext(newest(database), context).pipe(named(name, "newest")),
    staleMark: Effect.provideContext(StaleMark.read, context).pipe(named(name, "mark")),
    markStale: (newest) => Effect.provideContext(StaleMark.set(database, newest), context).pipe(named(name, "mark")),
    clearDeadReaders: named(name, "info")(lmdb.clearDeadReaders),
    info: Effect.map(lmdb.info, (info) => ({ ...info, path: lmdb.path })).pipe(named(name, "info")),
    mappedMemory: MappedMemory.of(lmdb.path)
  })
})

export const layerWith = (options: DatabaseOptions) => Layer.effect(Database, make(options))
