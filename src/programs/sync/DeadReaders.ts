/**
 * Frees the reader slots of dead processes once a minute. An application that was killed while it read keeps its slot,
 * which prevents LMDB from reusing the pages that it saw. LMDB itself frees slots only when an environment is opened.
 */
import { Effect } from "effect"
import type { SyncState } from "./SyncState.ts"

const interval = "1 minute"

const clear = Effect.fnUntraced(function* ({ database }: SyncState) {
  const cleared = yield* database.clearDeadReaders
  if (cleared === 0) return
  const { maxReaders, readers } = yield* database.info
  yield* Effect.logInfo("Cleared readers of dead processes", { cleared, num_readers: readers, max_readers: maxReaders })
})

/** Runs forever. The other loops report what is wrong with the environment. */
export const run = Effect.fn("Readers.run")(function* (state: SyncState) {
  for (;;) {
    yield* Effect.sleep(interval)
    yield* clear(state).pipe(
      Effect.catchTag("DatabaseError", (error) =>
        error.reaction === "end" ? Effect.fail(error) : Effect.logDebug("Cannot look for dead readers", error)
      )
    )
  }
})
