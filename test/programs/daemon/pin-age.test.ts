/**
 * The pin is renewed while a store takes long, too: otherwise, the file of an application that writes all the time
 * would grow by what it writes during the store.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Lmdb, LmdbError } from "../../../src/services/Lmdb.ts"
import { replacing } from "../../support/fakes/ReplacedLmdb.ts"
import { makeWorld, pass } from "./World.ts"

/** Records the ids of the read transactions that are open. */
const recording = (open: Set<{ readonly id: bigint }>) => (lmdb: Layer.Layer<Lmdb, LmdbError>) =>
  replacing(lmdb, (inner) => ({
    read: Effect.tap(inner.read, (view) =>
      Effect.acquireRelease(
        Effect.sync(() => open.add(view)),
        () => Effect.sync(() => open.delete(view))
      )
    )
  }))

const lines = (prefix: string) => Array.from({ length: 60 }, (_, i) => [`${prefix}${i}`, 5, `value ${i}`] as const)

describe("The pin of a daemon whose store hangs", () => {
  it.effect("is at most one commit and one poll behind the application", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.put({ d: lines("k") })
      const open = new Set<{ readonly id: bigint }>()
      yield* world.start({
        settings: { delta_snapshots: "always" },
        lmdb: recording(open),
        // The data file is watched.
        database: (database) => ({ ...database, touched: Effect.sleep("50 millis") })
      })
      yield* pass(2_500)
      assert.strictEqual(open.size, 1, "the pin is open")
      yield* world.bucket.faults.add({ operation: "store", times: Infinity }, { kind: "delay", duration: "60 seconds" })
      for (let commit = 0; commit < 30; commit++) {
        yield* world.put({ d: [["k7", 10 + commit, `changed ${commit}`]] })
        yield* pass(500)
        const oldest = Array.from(open, ({ id }) => id).reduce((least, id) => (id < least ? id : least))
        if (commit > 3) assert.isAtMost(Number((yield* world.lastId) - oldest), 1, `commit ${commit}`)
      }
    })
  )
})
