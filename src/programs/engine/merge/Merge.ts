/**
 * Merges a snapshot into the environment. Source: docs/sync.md.
 *
 * The winners are found in a read transaction. LMDB's write lock is held only while they are put, so a snapshot that
 * contains nothing new never takes it. If there are too many winners for memory, as in a first load, the snapshot is
 * read once more inside the write transaction. Nothing is committed from a snapshot that was not read to its end: if
 * the LMDB has no entries, the write transaction itself reads to the end before it commits.
 *
 * Several snapshots are merged together in one write transaction. If one of them cannot be merged together with those
 * before it, only these are merged.
 *
 * A merge has one write transaction, or several of `mergeLockMillis` each. Within a transaction, the only wait is for
 * the next chunk of the local spool. In shadow mode, the application's changes are first copied to the shadow. If the
 * application commits again before the write transaction begins, the merge begins again. After three such rounds, the
 * copy and the merge are done inside one write transaction.
 */
import { Array as Arr, Effect } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { type MergeRequest, MergeResult } from "../../../services/Database.ts"
import { DbiMissing, Lmdb, LmdbError } from "../../../services/Lmdb.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"
import * as ShadowCopy from "../shadow/ShadowCopy.ts"
import { BeginAgain } from "../WriteJob.ts"
import * as MergeRound from "./MergeRound.ts"

/**
 * Number of times that a DBI may be dropped during a merge. If an application drops its DBIs faster than a merge takes,
 * the merge fails, and the caller tries again later.
 */
const maxDrops = 10

/**
 * Number of rounds in which the copy and the merge have a transaction each, before both are done in one transaction.
 */
const maxMoves = 3

const readAndWrite = (merging: MergeRound.MergeState) =>
  Effect.flatMap(MergeRound.readPhase(merging), (found) => MergeRound.writePhase(merging, found))

/**
 * Runs a round in shadow mode, after which main and shadow are equal. `moves` is the number of rounds that commits of
 * the application have invalidated.
 */
const shadowRound = Effect.fnUntraced(function* (merging: MergeRound.MergeState, moves: number) {
  const { mode, shadow } = merging.database
  if (moves < maxMoves) {
    yield* ShadowCopy.update(mode, shadow, merging.writing)
    return yield* readAndWrite(merging)
  }
  yield* ShadowCopy.start(mode, shadow, merging.writing)
  return yield* MergeRound.copyAndMerge(merging, yield* ShadowCopy.insideNow(mode))
})

/** Repeats rounds until the application has not invalidated one by a commit. */
const rounds = Effect.fnUntraced(function* (merging: MergeRound.MergeState) {
  const { path } = yield* Lmdb
  const { mode, shadow } = merging.database
  let drops = 0
  let moves = 0
  for (;;) {
    const round = mode.shadow === undefined ? readAndWrite(merging) : shadowRound(merging, moves)
    const result = yield* round.pipe(
      Effect.catchTag("BeginAgain", (again) => Effect.succeed(again)),
      // The LMDB layer detects a dropped DBI as well.
      Effect.catchReason("LmdbError", "DbiMissing", (missing) =>
        Effect.succeed(new BeginAgain({ dropped: DbiName.fromText(missing.dbi) }))
      )
    )
    if (!(result instanceof BeginAgain)) {
      if (mode.shadow !== undefined) shadow.copiedThrough = result.transactionId
      return result
    }
    merging.known = result.known ?? merging.known
    if (result.moved === true) moves++
    if (result.dropped !== undefined && ++drops > maxDrops)
      return yield* new LmdbError({ path, reason: new DbiMissing({ dbi: DbiName.display(result.dropped) }) })
  }
})

export const merge = Effect.fn("Merge.merge")(function* (database: EngineDatabase, request: MergeRequest) {
  const merging = MergeRound.begin(database, request)
  const { merged, transactionId } = yield* rounds(merging)
  const { lockHeldMillis, longestLockMillis, transactions } = merging.writing
  const notLast = { made: [], lockHeldMillis: 0, longestLockMillis: 0, transactions: 0 }
  const last = { made: Array.from(merging.made), lockHeldMillis, longestLockMillis, transactions }
  return Arr.map(merged, (each, index) => {
    const { members: _, snapshot, ...contents } = each
    const writing = index === merged.length - 1 ? last : notLast
    return new MergeResult({ ...contents, ...writing, transactionId, passes: merging.passes.get(snapshot)! })
  })
})
