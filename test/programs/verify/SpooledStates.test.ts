import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SpoolMemory from "../../../src/layers/spool/SpoolMemory.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SpooledStates from "../../../src/programs/verify/SpooledStates.ts"
import * as ProgressTerminal from "../../../src/layers/process/ProgressTerminal.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { deltaNameOf, epoch, makeBucket, nameOf } from "../daemon/World.ts"

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

  it.effect("have no gap that only one listing has, and no object that a cleaner has just deleted", () =>
    Effect.gen(function* () {
      const { faults, put, putDelta, storage } = yield* makeBucket
      const lines = { d: [["k", 1, "v"]] } as const
      yield* put("a", epoch, lines)
      yield* putDelta("a", epoch, epoch + 1_000, lines)
      yield* putDelta("a", epoch + 1_000, epoch + 2_000, lines)
      const newest = SpooledStates.forComparison("main", ({ states, unusable }) =>
        Effect.succeed([
          ...states.flatMap(({ objects }) => objects.map(({ object }) => object.name)),
          ...unusable.map(({ name, problem }) => `${name}: ${problem}`)
        ])
      ).pipe(Effect.provide([Layer.succeed(Storage, storage), ProgressTerminal.silent, SpoolMemory.layer]))
      const [first, second] = [0, 1_000].map((from) => deltaNameOf("a", epoch + from, epoch + from + 1_000))
      const hidden = { kind: "list hides", name: first! } as const
      yield* faults.add({ operation: "list" }, hidden)
      assert.deepStrictEqual(yield* newest, [nameOf("a", epoch), first, second])
      yield* faults.add({ operation: "list" }, { kind: "list shows", name: nameOf("a", epoch + 9_000), size: 1 })
      assert.deepStrictEqual(yield* newest, [nameOf("a", epoch), first, second])
      yield* faults.add({ operation: "list", times: Infinity }, hidden)
      assert.deepStrictEqual(yield* newest, [nameOf("a", epoch), `${second}: an object before this delta is missing`])
    })
  )
})
