/**
 * While a merge holds the write lock, its thread turns to others every 10 ms or so: messages, timers, the other
 * databases.
 */
import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { Effect, type Layer } from "effect"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import type { Lmdb, LmdbError } from "../../../src/services/Lmdb.ts"
import { largeObject } from "../../support/fakes/DatabaseLayers.ts"
import { replacing } from "../../support/fakes/ReplacedLmdb.ts"
import { merge, nativeOptions, over, putRaw, write } from "../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../support/fixtures/GoldenEnvironments.ts"
import { rawDbis } from "../../support/fixtures/Snapshots.ts"

interface Lock {
  isHeld: boolean
}

const watched = (lmdb: Layer.Layer<Lmdb, LmdbError>, lock: Lock) =>
  replacing(lmdb, (inner) => ({
    write: (body) =>
      inner.write((transaction) =>
        Effect.acquireUseRelease(
          Effect.sync(() => void (lock.isHeld = true)),
          () => body(transaction),
          () => Effect.sync(() => void (lock.isHeld = false))
        )
      )
  }))

/** How many timers went off with the lock in hand, and the merge's result. */
const turnsOfMerge = Effect.fnUntraced(
  function* (entries: number) {
    const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`)
    const lock: Lock = { isHeld: false }
    return yield* Effect.gen(function* () {
      // In an LMDB without entries the snapshot would be read in the write transaction, which waits for each chunk
      // anyway.
      yield* write(putRaw(rawDbis({ other: [["k", 1, "v"]] })))
      let turns = 0
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.andThen(
            Effect.sleep(1),
            Effect.sync(() => {
              if (lock.isHeld) turns++
            })
          )
        )
      )
      return { result: yield* merge(largeObject(entries)), turns: yield* Effect.sync(() => turns) }
    }).pipe(Effect.provide(over(watched(LmdbNative.layerWith(options.lmdb), lock), options)))
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

describe("A thread with the write lock in hand", () => {
  // A slower machine has more turns: so many entries take five slices on a fast one.
  it.live("turns to others while what won is put", () =>
    Effect.gen(function* () {
      const { result, turns } = yield* turnsOfMerge(250_000)
      assert.deepInclude({ ...result }, { entriesWritten: 250_000, passes: 1, transactions: 1 })
      assert.isAbove(turns, 1)
    })
  )
})
