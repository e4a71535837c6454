/**
 * The two phases of a merge: `readPhase` finds the winners in a read transaction, and `writePhase` puts them. Each
 * phase fails with `BeginAgain` if something that it relied on has changed in the meantime.
 */
import { Effect } from "effect"
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { MergeRequest } from "../../../services/Database.ts"
import { Lmdb, type ReadTransaction, type WriteTransaction } from "../../../services/Lmdb.ts"
import { attempt, sliceMillis, type SteppedWork } from "../Engine.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"
import { syncedDbis } from "../SyncedDbis.ts"
import { BeginAgain, State } from "../WriteJob.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import type { KnownMember } from "./KnownMembers.ts"
import * as MemberFeed from "./MemberFeed.ts"
import { MergeRead } from "./MergeRead.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"
import { SnapshotPass } from "./SnapshotPass.ts"
import { refuseSnapshot } from "./write/RefusedByLmdb.ts"
import { SnapshotJob } from "./write/SnapshotJob.ts"
import { WinnersJob } from "./write/WinnersJob.ts"

/** The state of a merge in progress: what its rounds have learned and done so far. */
export interface MergeState {
  readonly database: EngineDatabase
  readonly request: MergeRequest
  readonly writing: WriteTransactions.Writing
  /** DBIs of the snapshot that did not exist before. */
  readonly made: Set<DbiName.DbiName>
  known: SnapshotKnowledge | undefined
  /** Number of times that reading the snapshot was begun. */
  passes: number
}

export const begin = (database: EngineDatabase, request: MergeRequest): MergeState => ({
  database,
  request,
  writing: WriteTransactions.begin(database.tracker, database.options.mergeLockMillis),
  made: new Set(),
  known: undefined,
  passes: 0
})

/**
 * Compressed size in bytes up to which a snapshot is also read in the read phase if the LMDB is empty. The additional
 * reading of a small snapshot costs next to nothing, and a snapshot without entries then never takes the write lock.
 */
const smallSnapshotBytes = 2 ** 20

const cutOffOf = ({ request }: MergeState): bigint => request.cutOffNano ?? 0n

/** Returns the content of a snapshot from a pass that has read it to the end. */
const contentsOf = ({ dbis, entriesRead, entriesSkipped, members, reader }: SnapshotPass) => ({
  dbis,
  entriesRead,
  entriesSkipped,
  members: members.found,
  uncompressedSize: reader.offset
})

type RoundContents = ReturnType<typeof contentsOf>

/** The result of a round: the content of the snapshot and the last transaction. */
export interface RoundResult extends RoundContents {
  /** Id of the last transaction that the LMDB records after the merge. */
  readonly transactionId: bigint
}

/** Result of the read phase. */
interface Found {
  /** Id of the read transaction. */
  readonly seen: bigint
  /**
   * The result of reading the snapshot, or undefined if it was not read because the LMDB is empty, so that all entries
   * win.
   */
  readonly read: { readonly phase: MergeRead; readonly contents: RoundContents } | undefined
}

/** True if the LMDB is empty and the snapshot is large. The snapshot is then read only once, in the write phase. */
const isFirstLoad = ({ database, request }: MergeState, { dbis }: ReadTransaction): boolean =>
  database.options.mergeLockMillis === 0 &&
  request.spooled.size > smallSnapshotBytes &&
  dbis.every((dbi) => dbi.entries === 0)

/** Reads the snapshot to its end, and compares it with a view of the LMDB. */
const readBeside = Effect.fnUntraced(function* (merging: MergeState, view: ReadTransaction) {
  const { known, mode, walked } = merging.database
  merging.passes++
  const feed = yield* MemberFeed.open(merging.request, known.at(view.id))
  const phase = new MergeRead(mode, view, cutOffOf(merging), walked.at(view.id))
  const pass = new SnapshotPass(phase, merging.known)
  yield* Effect.addFinalizer(() => Effect.sync(() => pass.close()))
  for (;;) {
    const state = yield* attempt(() => pass.advance(performance.now() + sliceMillis))
    if (state === State.End) break
    yield* state === State.NeedChunk ? feed(pass) : Effect.yieldNow
  }
  if (pass.isDisproved) return yield* new BeginAgain({ known: pass.learned })
  merging.known = pass.learned
  walked.walked(view.id, phase.walked)
  const existing = new Set(view.dbis.map(({ name }) => name))
  for (const dbi of pass.dbis) if (!existing.has(mode.headersOf(dbi))) merging.made.add(dbi)
  return { phase, contents: contentsOf(pass) }
})

export const readPhase = Effect.fnUntraced(function* (merging: MergeState) {
  const { changes, mode, shadow } = merging.database
  // The tracker determines what the application has changed now, so that a later merge need not examine everything.
  yield* changes.poll
  const view = yield* (yield* Lmdb).read
  yield* attempt(() => syncedDbis(view.dbis, mode.check))
  if (mode.shadow !== undefined && view.id !== shadow.copiedThrough) return yield* new BeginAgain({ moved: true })
  const read = isFirstLoad(merging, view) ? undefined : yield* readBeside(merging, view)
  return { seen: view.id, read } satisfies Found
}, Effect.scoped)

const writeWinners = (merging: MergeState, { winners }: MergeRead, seen: bigint) => {
  const job = new WinnersJob(winners, merging.database.mode, cutOffOf(merging))
  return refuseSnapshot(WriteTransactions.write(merging.writing, job, seen, Effect.void))
}

/** Reads the snapshot inside the write transactions. */
const writeSnapshot = Effect.fnUntraced(function* (
  merging: MergeState,
  seen: bigint,
  isChecked: boolean,
  copy: ((transaction: WriteTransaction) => SteppedWork) | undefined
) {
  const { database, known, made, request, writing } = merging
  merging.passes++
  // No member is skipped here: the snapshot is read in this phase because nearly all of it wins.
  const feed = yield* MemberFeed.open(request, new Map())
  const job = new SnapshotJob({ mode: database.mode, known, cutOffNano: cutOffOf(merging), isChecked, copy })
  const next = Effect.suspend(() => feed(job.pass))
  const transactionId = yield* refuseSnapshot(WriteTransactions.write(writing, job, seen, next))
  for (const dbi of job.made) made.add(dbi)
  return { transactionId, ...contentsOf(job.pass) } satisfies RoundResult
}, Effect.scoped)

/**
 * Records what was merged, for later merges. `before` is the number of transactions of this merge before the write
 * phase.
 */
const remember = (
  { database: { known, walked }, writing }: MergeState,
  seen: bigint,
  before: number,
  { members, transactionId }: { readonly transactionId: bigint; readonly members: ReadonlyArray<KnownMember> }
): void => {
  // LMDB numbers transactions without gaps. If the ids have advanced by the number of our transactions, there were no
  // others.
  const alone = transactionId - seen === BigInt(writing.transactions - before)
  known.merged(seen, transactionId, alone, members)
  walked.merged(seen, transactionId, alone)
}

export const writePhase = Effect.fnUntraced(function* (merging: MergeState, { read, seen }: Found) {
  const before = merging.writing.transactions
  const merged: RoundResult =
    read === undefined || read.phase.winners.overflown
      ? yield* writeSnapshot(merging, seen, read !== undefined, undefined)
      : {
          ...read.contents,
          transactionId: read.phase.hasWork ? yield* writeWinners(merging, read.phase, seen) : seen
        }
  remember(merging, seen, before, merged)
  return merged
})

/** Performs `copy`, the copy main → shadow, and the whole merge in one write transaction, without a read phase. */
export const copyAndMerge = (merging: MergeState, copy: (transaction: WriteTransaction) => SteppedWork) =>
  writeSnapshot(merging, 0n, false, copy)
