/**
 * Merges a snapshot into the environment. Source: docs/sync.md.
 *
 * What wins is found in a read transaction; LMDB's write lock is held for the winners alone, so a snapshot that brings
 * nothing new never takes it. If the winners are too many for memory (a first load), the snapshot is read once more,
 * inside the write transaction. Nothing is written from a snapshot that was not read to its end: in an LMDB without
 * entries the write transaction itself reads to the end before it commits.
 *
 * A merge has one write transaction, or parts of `mergeLockMillis`. In a transaction nothing is waited for but the next
 * chunk of the local spool. In shadow mode what the application has changed is copied to the shadow before; when it
 * commits again before the write transaction, the merge begins again, and after three such rounds copy and merge are
 * done inside one write transaction.
 */
import { Effect } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { type MergeRequest, MergeResult } from "../../../services/Database.ts"
import { DbiMissing, Lmdb, LmdbError } from "../../../services/Lmdb.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"
import * as ShadowCopy from "../shadow/ShadowCopy.ts"
import { BeginAgain } from "../WriteJob.ts"
import * as MergeRound from "./MergeRound.ts"

/**
 * Number of times that a DBI may be dropped during a merge. An application that drops its DBIs faster than a merge
 * takes is given up on: the caller tries again later.
 */
const maxDrops = 10

/** Rounds in which the copy and the merge have a transaction each, before both are done in one. */
const maxMoves = 3

const readAndWrite = (merging: MergeRound.MergeState) =>
  Effect.flatMap(MergeRound.readPhase(merging), (found) => MergeRound.writePhase(merging, found))

/** In shadow mode: leaves main and shadow equal. `moves`: rounds that commits of the application made worthless. */
const shadowRound = Effect.fnUntraced(function* (merging: MergeRound.MergeState, moves: number) {
  const { mode, shadow } = merging.database
  if (moves < maxMoves) {
    yield* ShadowCopy.update(mode, shadow, merging.writing)
    return yield* readAndWrite(merging)
  }
  yield* ShadowCopy.start(mode, shadow, merging.writing)
  return yield* MergeRound.copyAndMerge(merging, yield* ShadowCopy.insideNow(mode))
})

/** Repeats rounds until one is not made worthless by what the application does meanwhile. */
const rounds = Effect.fnUntraced(function* (merging: MergeRound.MergeState) {
  const { path } = yield* Lmdb
  const { mode, shadow } = merging.database
  let drops = 0
  let moves = 0
  for (;;) {
    const round = mode.shadow === undefined ? readAndWrite(merging) : shadowRound(merging, moves)
    const result = yield* round.pipe(
      Effect.catchTag("BeginAgain", (again) => Effect.succeed(again)),
      // The layer notices a dropped DBI as well.
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
  const { members: _, ...result } = yield* rounds(merging)
  const { lockHeldMillis, longestLockMillis, transactions, written } = merging.writing
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
