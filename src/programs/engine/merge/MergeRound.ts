/**
 * The two phases of a merge: `readPhase` finds the winners in a read transaction, and `writePhase` puts them. Each
 * phase fails with `BeginAgain` if something that it relied on has changed in the meantime.
 *
 * Several snapshots are compared with the same view one after the other, and their winners are put in that order in one
 * transaction. Where two of them have entries of one DBI, the winners of the later one are compared again when they are
 * put. A snapshot that cannot be checked against that view is left for the next merge, and so are those behind it.
 */
import { Array as Arr, Effect } from "effect"
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { MergeRequest, SpooledSnapshot } from "../../../services/Database.ts"
import { Lmdb, type ReadTransaction, type WriteTransaction } from "../../../services/Lmdb.ts"
import { attempt, sliceMillis, type SteppedWork } from "../Engine.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"
import { syncedDbis } from "../SyncedDbis.ts"
import { BeginAgain, State } from "../WriteJob.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import * as MemberFeed from "./MemberFeed.ts"
import { MergeRead } from "./MergeRead.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"
import { SnapshotPass } from "./SnapshotPass.ts"
import { winnersLimit } from "./Winners.ts"
import { refuseSnapshot } from "./write/RefusedByLmdb.ts"
import { SnapshotJob } from "./write/SnapshotJob.ts"
import { WinnersJob } from "./write/WinnersJob.ts"

/** The state of a merge in progress: what its rounds have learned and done so far. */
export interface MergeState {
  readonly database: EngineDatabase
  readonly request: MergeRequest
  readonly writing: WriteTransactions.Writing
  /** DBIs of the snapshots that did not exist before. */
  readonly made: Set<DbiName.DbiName>
  /** Facts about the first snapshot. */
  known: SnapshotKnowledge | undefined
  /** Number of times that reading each snapshot was begun. */
  readonly passes: Map<SpooledSnapshot, number>
}

export const begin = (database: EngineDatabase, request: MergeRequest): MergeState => ({
  database,
  request,
  writing: WriteTransactions.begin(database.tracker, database.options.mergeLockMillis),
  made: new Set(),
  known: undefined,
  passes: new Map()
})

/**
 * Compressed size in bytes up to which a snapshot is also read in the read phase if the LMDB is empty. The additional
 * reading of a small snapshot costs next to nothing, and a snapshot without entries then never takes the write lock.
 */
const smallSnapshotBytes = 2 ** 20

const cutOffOf = ({ request }: MergeState): bigint => request.cutOffNano ?? 0n

const countPass = ({ passes }: MergeState, snapshot: SpooledSnapshot): void => {
  passes.set(snapshot, (passes.get(snapshot) ?? 0) + 1)
}

/** Returns the content of a snapshot from a pass that has read it to the end. */
const contentsOf = (
  snapshot: SpooledSnapshot,
  { dbis, entriesRead, entriesSkipped, members, reader }: SnapshotPass
) => ({
  snapshot,
  dbis,
  entriesRead,
  entriesSkipped,
  members: members.found,
  uncompressedSize: reader.offset
})

type RoundContents = ReturnType<typeof contentsOf>

type Merged = RoundContents & { readonly entriesWritten: number }

/** The result of a round: the content of each snapshot that was merged, and the last transaction. */
export interface RoundResult {
  readonly merged: Arr.NonEmptyReadonlyArray<Merged>
  /** Id of the last transaction that the LMDB records after the merge. */
  readonly transactionId: bigint
}

/** A snapshot that was read to its end. */
interface ReadSnapshot {
  readonly phase: MergeRead
  readonly contents: RoundContents
}

/** Result of the read phase. */
interface Found {
  /** Id of the read transaction. */
  readonly seen: bigint
  /**
   * The snapshots that are merged together, or undefined if the first one was not read because the LMDB is empty, so
   * that all entries win.
   */
  readonly read: Arr.NonEmptyReadonlyArray<ReadSnapshot> | undefined
}

/** True if the LMDB is empty and the snapshot is large. The snapshot is then read only once, in the write phase. */
const isFirstLoad = ({ database, request }: MergeState, { dbis }: ReadTransaction): boolean =>
  database.options.mergeLockMillis === 0 &&
  request.snapshots[0].spooled.size > smallSnapshotBytes &&
  dbis.every((dbi) => dbi.entries === 0)

interface Reading {
  readonly view: ReadTransaction
  readonly snapshot: SpooledSnapshot
  readonly known: SnapshotKnowledge | undefined
  /** Limit in bytes of the winners that are kept. */
  readonly winnersMax: number
}

/** Reads a snapshot to its end, and compares it with a view of the LMDB. */
const readBeside = Effect.fnUntraced(function* (merging: MergeState, reading: Reading) {
  const { snapshot, view } = reading
  const { known, mode, walked } = merging.database
  countPass(merging, snapshot)
  const feed = yield* MemberFeed.open(snapshot, known.at(view.id))
  const phase = new MergeRead(mode, view, cutOffOf(merging), walked.at(view.id), reading.winnersMax)
  const pass = new SnapshotPass(phase, reading.known)
  yield* Effect.addFinalizer(() => Effect.sync(() => pass.close()))
  for (;;) {
    const state = yield* attempt(() => pass.advance(performance.now() + sliceMillis))
    if (state === State.End) break
    yield* state === State.NeedChunk ? feed(pass) : Effect.yieldNow
  }
  if (pass.isDisproved) return yield* new BeginAgain({ known: pass.learned })
  walked.walked(view.id, phase.walked)
  return { phase, contents: contentsOf(snapshot, pass), learned: pass.learned }
}, Effect.scoped)

/** Returns whether a snapshot that follows others can be merged together with them. */
const joins = (earlier: ReadonlyArray<ReadSnapshot>, { phase }: ReadSnapshot): boolean =>
  !phase.winners.overflown &&
  // The pairs were only checked together with those in the view.
  earlier.every((other) => Array.from(phase.pairs).every((dbi) => !other.phase.pairs.has(dbi)))

const endOfRow = () => Effect.undefined

/** Reads those of the following snapshots that can be merged together with the first one. */
const readFollowing = Effect.fnUntraced(function* (merging: MergeState, view: ReadTransaction, first: ReadSnapshot) {
  const read: Arr.NonEmptyArray<ReadSnapshot> = [first]
  for (const snapshot of merging.request.snapshots.slice(1)) {
    const { phase } = Arr.lastNonEmpty(read)
    if (phase.winners.overflown || !phase.keepsDbis) break
    const winnersMax = winnersLimit - read.reduce((held, { phase }) => held + phase.winners.held, 0)
    const next = yield* readBeside(merging, { view, snapshot, known: undefined, winnersMax }).pipe(
      Effect.catchTags({
        CorruptSnapshot: endOfRow,
        RefusedSnapshot: endOfRow,
        CompressionError: endOfRow,
        SpoolError: endOfRow,
        BeginAgain: endOfRow
      })
    )
    if (next === undefined || !joins(read, next)) break
    read.push(next)
  }
  return read
})

/** Reads the first snapshot, and those that can be merged together with it. */
const readTogether = Effect.fnUntraced(function* (merging: MergeState, view: ReadTransaction) {
  const { mode } = merging.database
  const snapshot = merging.request.snapshots[0]
  const first = yield* readBeside(merging, { view, snapshot, known: merging.known, winnersMax: winnersLimit })
  merging.known = first.learned
  const read = yield* readFollowing(merging, view, first)
  const existing = new Set(view.dbis.map(({ name }) => name))
  for (const { contents } of read)
    for (const dbi of contents.dbis) if (!existing.has(mode.headersOf(dbi))) merging.made.add(dbi)
  return read
})

export const readPhase = Effect.fnUntraced(function* (merging: MergeState) {
  const { changes, mode, shadow } = merging.database
  // The tracker determines what the application has changed now, so that a later merge need not examine everything.
  yield* changes.poll
  const view = yield* (yield* Lmdb).read
  yield* attempt(() => syncedDbis(view.dbis, mode.check))
  if (mode.shadow !== undefined && view.id !== shadow.copiedThrough) return yield* new BeginAgain({ moved: true })
  const read = isFirstLoad(merging, view) ? undefined : yield* readTogether(merging, view)
  return { seen: view.id, read } satisfies Found
}, Effect.scoped)

const writeWinners = Effect.fnUntraced(function* (
  merging: MergeState,
  read: Arr.NonEmptyReadonlyArray<ReadSnapshot>,
  seen: bigint
) {
  const sections = read.flatMap(({ phase }) => phase.winners.sections)
  const job = new WinnersJob(sections, merging.database.mode, cutOffOf(merging))
  const hasWork = read.some(({ phase }) => phase.hasWork)
  const write = WriteTransactions.write(merging.writing, job, seen, Effect.void)
  const transactionId = hasWork ? yield* refuseSnapshot(write) : seen
  const merged = Arr.map(read, ({ contents, phase }) => ({ ...contents, entriesWritten: phase.winners.written }))
  return { transactionId, merged } satisfies RoundResult
})

/** Reads the first snapshot inside the write transactions. */
const writeSnapshot = Effect.fnUntraced(function* (
  merging: MergeState,
  seen: bigint,
  isChecked: boolean,
  copy: ((transaction: WriteTransaction) => SteppedWork) | undefined
) {
  const { database, known, made, request, writing } = merging
  const snapshot = request.snapshots[0]
  countPass(merging, snapshot)
  // No member is skipped here: the snapshot is read in this phase because nearly all of it wins.
  const feed = yield* MemberFeed.open(snapshot, new Map())
  const job = new SnapshotJob({ mode: database.mode, known, cutOffNano: cutOffOf(merging), isChecked, copy })
  const next = Effect.suspend(() => feed(job.pass))
  const transactionId = yield* refuseSnapshot(WriteTransactions.write(writing, job, seen, next))
  for (const dbi of job.made) made.add(dbi)
  const merged: Merged = { ...contentsOf(snapshot, job.pass), entriesWritten: job.written }
  return { transactionId, merged: [merged] } satisfies RoundResult
}, Effect.scoped)

/**
 * Records what was merged, for later merges. `before` is the number of transactions of this merge before the write
 * phase.
 */
const remember = (
  { database: { known, walked }, writing }: MergeState,
  seen: bigint,
  before: number,
  { merged, transactionId }: RoundResult
): void => {
  // LMDB numbers transactions without gaps. If the ids have advanced by the number of our transactions, there were no
  // others.
  const alone = transactionId - seen === BigInt(writing.transactions - before)
  const members = merged.flatMap(({ members }) => members)
  known.merged(seen, transactionId, alone, members)
  walked.merged(seen, transactionId, alone)
}

export const writePhase = Effect.fnUntraced(function* (merging: MergeState, { read, seen }: Found) {
  const before = merging.writing.transactions
  const result: RoundResult =
    read === undefined || read[0].phase.winners.overflown
      ? yield* writeSnapshot(merging, seen, read !== undefined, undefined)
      : yield* writeWinners(merging, read, seen)
  remember(merging, seen, before, result)
  return result
})

/** Performs `copy`, the copy main → shadow, and the whole merge in one write transaction, without a read phase. */
export const copyAndMerge = (merging: MergeState, copy: (transaction: WriteTransaction) => SteppedWork) =>
  writeSnapshot(merging, 0n, false, copy)
