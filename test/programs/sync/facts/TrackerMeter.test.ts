/** What the engine knows of changed keys is shown as metrics after each look at the LMDB. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as MetricsPrometheus from "../../../../src/layers/metrics/MetricsPrometheus.ts"
import { observe } from "../../../../src/programs/sync/LocalChanges.ts"
import { SyncState } from "../../../../src/programs/sync/SyncState.ts"
import { Database } from "../../../../src/services/Database.ts"
import { Metrics } from "../../../../src/services/Metrics.ts"
import { merge, over } from "../../../support/fixtures/Environments.ts"
import { put, shadowOptions } from "../../../support/fixtures/ShadowEnvironments.ts"
import { object } from "../../../support/fixtures/Snapshots.ts"

const options = {
  database: "tracked",
  instance: "a",
  hostname: "host-a",
  receiveOnly: false,
  onlyOnce: false,
  acceptStale: false,
  keepLast: false
}

const shown = Effect.gen(function* () {
  const text = yield* (yield* Metrics).expose(Effect.void)
  const series = (name: string) => {
    const found = new RegExp(`^lightningstream_tracker_${name}\\{lmdb="tracked"\\} (.+)$`, "m").exec(text)
    return found === null ? undefined : Number(found[1])
  }
  return {
    age: series("pin_age_seconds"),
    keys: series("pending_keys"),
    bytes: series("pending_bytes"),
    givenUp: series("given_up_total")
  }
})

describe("TrackerMeter", () => {
  it.live("the pin, the pending keys, and how often they were given up", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment({ mapSize: 2 ** 27 })
    return Effect.gen(function* () {
      const state = new SyncState(options, yield* Database)
      yield* observe(state)
      assert.deepStrictEqual(yield* shown, { age: 0, keys: 0, bytes: 0, givenUp: 0 })
      // The second copy knows the shadow that the first has made.
      for (const key of ["a", "b"]) {
        yield* application.write(put("d", [[key, "v"]]))
        yield* merge(object({}))
      }
      yield* application.write(put("d", { c: "v", e: "v" }))
      yield* observe(state)
      yield* Effect.sleep(5)
      yield* observe(state)
      const { age, bytes, keys } = yield* shown
      assert.isAbove(age!, 0)
      assert.isAbove(bytes!, 0)
      // With "b": the copy before has put it into the shadow.
      assert.strictEqual(keys, 3)
      const large = "x".repeat(300)
      yield* application.write(
        put(
          "d",
          Array.from({ length: 25_000 }, (_, i) => [`${i}${large}`, ""] as const)
        )
      )
      for (let i = 0; i < 3; i++) yield* observe(state)
      assert.deepStrictEqual(yield* shown, { age: 0, keys: 0, bytes: 0, givenUp: 1 })
    }).pipe(Effect.provide([MetricsPrometheus.layer, over(layer, shadowOptions())]))
  })
})
