/** Fleets converge, and the simulation would see it if they did not: the same seeds find every planted bug. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import * as NativeApplications from "./NativeApplications.ts"
import { bugs, shadowBugs } from "./PlantedBugs.ts"
import * as ShadowApplications from "./ShadowApplications.ts"
import { type Applications, type Bug, run } from "./Simulation.ts"

const seeds = Array.from({ length: 24 }, (_, index) => 1_000 + index)

const check = (make: () => Applications, seed: number, bug?: Bug) =>
  Effect.map(
    Effect.suspend(() => run(seed, make(), bug)),
    ({ chatty, contents, ended, expected, quarantine }) => {
      for (const [index, content] of contents.entries())
        assert.deepStrictEqual(content, expected, `seed ${seed}, instance ${index}`)
      assert.deepStrictEqual({ chatty, ended, quarantine }, { chatty: 0, ended: [], quarantine: 0 }, `seed ${seed}`)
    }
  )

const finds = (name: string, make: () => Applications, bug: () => Bug) =>
  it.effect(`finds a planted bug: ${name}`, () =>
    Effect.gen(function* () {
      for (const seed of seeds) {
        const found = yield* Effect.exit(Effect.suspend(() => check(make, seed, bug())))
        if (found._tag === "Success") continue
        // Seen in what the fleet holds, or how its members ended: a crash of something else finds nothing.
        if (String(Cause.squash(found.cause)).startsWith("AssertionError")) return
        return yield* Effect.failCause(found.cause)
      }
      assert.fail("all fleets converged")
    })
  )

describe("Simulation", () => {
  for (const seed of seeds) {
    it.effect(`a fleet converges to what the last writers wrote (seed ${seed})`, () =>
      check(NativeApplications.make, seed)
    )
  }

  it.effect("a seed gives the same run again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* run(seeds[0]!, NativeApplications.make()),
        yield* run(seeds[0]!, NativeApplications.make())
      )
    })
  )

  for (const [name, bug] of Object.entries(bugs)) finds(name, NativeApplications.make, bug)
})

describe("Simulation in shadow mode", () => {
  for (const seed of seeds) {
    it.effect(`a fleet converges, and loses nothing that only one writes (seed ${seed})`, () =>
      check(ShadowApplications.make, seed)
    )
  }

  for (const [name, bug] of Object.entries(shadowBugs)) finds(name, ShadowApplications.make, bug)
})
