import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SpoolMemory from "../../../src/layers/spool/SpoolMemory.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SpooledStates from "../../../src/programs/verify/SpooledStates.ts"
import { Progress } from "../../../src/services/Progress.ts"

describe("spooled states", () => {
  it.effect("show no progress of the download any more when they are compared", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const progress = Layer.succeed(Progress, {
        measure: ({ label }) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              shown.push(label)
              return { add: () => {} }
            }),
            () => Effect.sync(() => shown.push("end"))
          )
      })
      const seen = yield* SpooledStates.forComparison("main", () => Effect.sync(() => [...shown])).pipe(
        Effect.provide([progress, StorageMemory.layer, SpoolMemory.layer])
      )
      assert.deepStrictEqual(seen, ["Downloading snapshots of main", "end"])
    })
  )
})
