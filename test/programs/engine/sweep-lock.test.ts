/** How long others wait for LMDB's write lock during a sweep, as another process sees it. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { during } from "../../../bench/LockProbe.ts"
import { Database } from "../../../src/services/Database.ts"
import { nativeOptions, overNative, putRaw, raw, write } from "../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../support/fixtures/GoldenEnvironments.ts"
import { many, rawDbis } from "../../support/fixtures/Snapshots.ts"

const tombstones = 60_000

describe("Sweep of a real LMDB", () => {
  it.live("the application gets the lock between the parts, and waits for about lock_duration at most", () =>
    Effect.gen(function* () {
      const path = `${yield* temporaryFolder}/data.mdb`
      yield* Effect.gen(function* () {
        const content = { d: many(tombstones, 1, 0).map(([key]) => [key, 1, null] as const), live: many(3, 1, 10) }
        yield* write(putRaw(rawDbis(content)))
        const { sweep } = yield* Database
        const {
          probe,
          value: [whole, value]
        } = yield* during(path, Effect.timed(sweep({ olderThanNano: 5n, lockMillis: 1, releaseMillis: 2 })))
        assert.deepInclude({ ...value }, { totalEntries: tombstones + 3, cleanedEntries: tombstones })
        assert.deepStrictEqual(
          (yield* raw).map(({ entries }) => entries.length),
          [0, 3]
        )
        // What is found at a time is at most 4,096: its removal takes several times lock_duration, and so several
        // transactions.
        assert.isAtLeast(value.transactions, (2 * tombstones) / 4_096)
        // Far more than one part takes, on a machine that is not ours alone, and far less than the lock in one hand.
        const patience = Duration.toMillis(whole) / 2
        assert.isBelow(value.longestLockMillis, patience)
        assert.isBelow(probe.longestWaitMillis, patience)
        assert.isAtLeast(probe.takes, value.transactions)
        assert.strictEqual(probe.lastId - probe.firstId, value.transactions)
      }).pipe(Effect.provide(overNative(nativeOptions(path))))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
