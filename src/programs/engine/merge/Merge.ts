/**
 * Merges a snapshot into the environment. Source: docs/sync.md.
 *
 * What wins is found in a read transaction; LMDB's write lock is held for the winners alone, so a snapshot that brings
 * nothing never takes it. Too many winners for memory (a first load): the snapshot is read once more, inside the write
 * transaction. Nothing is written from a snapshot that was not read to its end: in an LMDB without entries the write
 * transaction itself reads to the end before it commits.
 *
 * One transaction, or parts of `mergeLockMillis`. In a transaction nothing is waited for but the next chunk of the
 * local spool. In shadow mode what the application has changed is copied to the shadow before; when it commits again
 * before the write transaction, the merge begins again, and after three such rounds copy and merge are done inside one
 * write transaction.
 */
import { Effect } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { type MergeRequest, MergeResult, RefusedSnapshot } from "../../../services/Database.ts"
import { DbiMissing, Lmdb, LmdbError, type ReadTransaction } from "../../../services/Lmdb.ts"
import * as MemberFeed from "./MemberFeed.ts"
import { attempt, sliceMillis } from "../Engine.ts"
import { MergeRead } from "./MergeRead.ts"
import type { KnownMember } from "./KnownMembers.ts"
import { SnapshotJob, WinnersJob } from "./MergeWrite.ts"
import * as ShadowCopy from "../shadow/ShadowCopy.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"
import { SnapshotPass } from "./SnapshotPass.ts"
import { syncedDbis } from "../SyncedDbis.ts"
import type { Winners } from "./Winners.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import { BeginAgain, State } from "../WriteJob.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"

/** An application that drops its DBIs faster than a merge takes is given up on: the caller tries again later. */
const mostDrops = 10

/** Rounds of copy and merge in shadow mode before both are done in one transaction. */
const mostMoves = 3

/** Compressed bytes: reading such a one first costs nothing, and one without entries then takes no lock. */
const smallSnapshot = 2 ** 20

interface Merging {
  readonly database: EngineDatabase
  readonly request: MergeRequest
  readonly writing: WriteTransactions.Writing
  /** DBIs of the snapshot that were not there. */
  readonly made: Set<DbiName.DbiName>
  /** What an earlier round learned. */
  known: SnapshotKnowledge | undefined
  /** Rounds that the application's commits made worthless. */
  moves: number
  passes: number
}

const cutOffOf = ({ request }: Merging): bigint => request.cutOffNano ?? 0n

/** Of one that has read to the end. */
const resultOf = ({ dbis, entriesRead, entriesSkipped, members, reader }: SnapshotPass) => ({
  dbis,
  entriesRead,
  entriesSkipped,
  members: members.found,
  uncompressedSize: reader.offset
})

/**
 * Codes with which LMDB says that it cannot take what is put, or that it has failed over it. Nothing of the transaction
 * is there then, and others may well succeed: a damaged file shows when it is read, by the next dump.
 */
const codesOfContent: ReadonlySet<string> = new Set([
  "MDB_BAD_VALSIZE",
  "MDB_KEYEXIST",
  "MDB_INCOMPATIBLE",
  "MDB_DBS_FULL",
  "MDB_PAGE_FULL",
  "MDB_CURSOR_FULL",
  "MDB_TXN_FULL",
  "MDB_CORRUPTED",
  "MDB_PROBLEM"
])

/** What a snapshot asks of LMDB must not end the daemon at each start: it is refused. */
const blameSnapshot = <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | RefusedSnapshot, R> =>
  Effect.mapError(write, (error) =>
    error instanceof LmdbError && error.reason._tag === "LmdbFailure" && codesOfContent.has(error.reason.code)
      ? new RefusedSnapshot({ problem: `it cannot be put into the LMDB: ${error.message}` })
      : error
  )

/** The snapshot is read inside the write transactions. */
const mergeInside = Effect.fnUntraced(function* (
  merging: Merging,
  seen: bigint,
  isChecked: boolean,
  first?: Effect.Success<ReturnType<typeof ShadowCopy.insideNow>>
) {
  merging.passes++
  // Inside a write transaction nothing is skipped: it is there because nearly all of it wins.
  const feed = yield* MemberFeed.open(merging.request, new Map())
  const job = new SnapshotJob(merging.known, merging.database.mode, cutOffOf(merging), isChecked, first)
  const last = yield* WriteTransactions.write(
    merging.writing,
    job,
    seen,
    Effect.suspend(() => feed(job.pass))
  ).pipe(blameSnapshot)
  for (const dbi of job.made) merging.made.add(dbi)
  return { transactionId: last, ...resultOf(job.pass) }
}, Effect.scoped)

/** Nothing is there, so nothing can win against the snapshot, and it is large: then it is read only once. */
const isFirstLoad = ({ database, request }: Merging, { dbis }: ReadTransaction): boolean =>
  database.options.mergeLockMillis === 0 &&
  request.spooled.size > smallSnapshot &&
  dbis.every((dbi) => dbi.entries === 0)

/** The snapshot is read in a read transaction, to its end. */
const read = Effect.fnUntraced(function* (merging: Merging) {
  const { changes, mode, shadow } = merging.database
  // What the application has changed is looked at first, instead of everything.
  yield* changes.poll
  const transaction = yield* (yield* Lmdb).read
  yield* attempt(() => syncedDbis(transaction.dbis, mode.check))
  if (mode.shadow !== undefined && transaction.id !== shadow.copiedThrough)
    return yield* new BeginAgain({ moved: true })
  if (isFirstLoad(merging, transaction)) return transaction.id
  merging.passes++
  const feed = yield* MemberFeed.open(merging.request, merging.database.known.at(transaction.id))
  const phase = new MergeRead(mode, transaction, cutOffOf(merging), merging.database.walked.at(transaction.id))
  const pass = new SnapshotPass(phase, merging.known)
  yield* Effect.addFinalizer(() => Effect.sync(() => pass.close()))
  for (;;) {
    const state = yield* attempt(() => pass.advance(performance.now() + sliceMillis))
    if (state === State.End) break
    yield* state === State.NeedChunk ? feed(pass) : Effect.yieldNow
  }
  if (pass.late) return yield* new BeginAgain({ known: pass.learned })
  merging.known = pass.learned
  merging.database.walked.walked(transaction.id, phase.walked)
  const there = new Set(transaction.dbis.map(({ name }) => name))
  for (const dbi of pass.dbis) if (!there.has(mode.headersOf(dbi))) merging.made.add(dbi)
  return { phase, id: transaction.id, result: resultOf(pass) }
}, Effect.scoped)

/** What was read in transaction `seen` was merged, in `result.transactionId` as the last one. */
const remember = (
  merging: Merging,
  seen: bigint,
  before: number,
  result: { readonly transactionId: bigint; readonly members: ReadonlyArray<KnownMember> }
) => {
  // LMDB numbers transactions without gaps: as many as ours means that there were no others.
  const alone = result.transactionId - seen === BigInt(merging.writing.transactions - before)
  merging.database.known.merged(seen, result.transactionId, alone, result.members)
  merging.database.walked.merged(seen, result.transactionId, alone)
}

const merge1 = Effect.fnUntraced(function* (merging: Merging) {
  const found = yield* read(merging)
  const before = merging.writing.transactions
  const seen = typeof found === "bigint" ? found : found.id
  const writeWinners = (winners: Winners) =>
    WriteTransactions.write(
      merging.writing,
      new WinnersJob(winners, merging.database.mode, cutOffOf(merging)),
      seen,
      Effect.void
    ).pipe(blameSnapshot)
  const result =
    typeof found === "bigint" || found.phase.winners.overflown
      ? yield* mergeInside(merging, seen, typeof found !== "bigint")
      : { ...found.result, transactionId: found.phase.hasWork ? yield* writeWinners(found.phase.winners) : seen }
  remember(merging, seen, before, result)
  return result
})

/** One round. In shadow mode it leaves main and shadow alike. */
const round = Effect.fnUntraced(function* (merging: Merging) {
  const { mode, shadow } = merging.database
  if (mode.shadow === undefined) return yield* merge1(merging)
  const isTooRestless = merging.moves >= mostMoves
  if (isTooRestless) yield* ShadowCopy.start(mode, shadow, merging.writing)
  else yield* ShadowCopy.update(mode, shadow, merging.writing)
  const result = isTooRestless
    ? yield* mergeInside(merging, 0n, false, yield* ShadowCopy.insideNow(mode))
    : yield* merge1(merging)
  shadow.copiedThrough = result.transactionId
  return result
})

const untilKept = Effect.fnUntraced(function* (merging: Merging) {
  const { path } = yield* Lmdb
  let drops = 0
  for (;;) {
    const result = yield* round(merging).pipe(
      Effect.catchTag("BeginAgain", (again) => Effect.succeed(again)),
      // The same, noticed by the layer.
      Effect.catchReason("LmdbError", "DbiMissing", (missing) =>
        Effect.succeed(new BeginAgain({ dropped: DbiName.fromText(missing.dbi) }))
      )
    )
    if (!(result instanceof BeginAgain)) return result
    merging.known = result.known ?? merging.known
    if (result.moved === true) merging.moves++
    if (result.dropped !== undefined && ++drops > mostDrops) {
      return yield* new LmdbError({ path, reason: new DbiMissing({ dbi: DbiName.display(result.dropped) }) })
    }
  }
})

export const merge = Effect.fn("Merge.merge")(function* (database: EngineDatabase, request: MergeRequest) {
  const writing = WriteTransactions.begin(database.tracker, database.options.mergeLockMillis)
  const merging: Merging = { database, request, writing, made: new Set(), known: undefined, moves: 0, passes: 0 }
  const { members: _, ...result } = yield* untilKept(merging)
  const { lockHeldMillis, longestLockMillis, transactions, written } = writing
  return new MergeResult({
    ...result,
    made: Array.from(merging.made),
    entriesWritten: written,
    lockHeldMillis,
    longestLockMillis,
    transactions,
    passes: merging.passes
  })
})
