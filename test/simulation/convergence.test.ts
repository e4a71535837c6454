/**
 * Tests that fleets converge, and that the simulation would detect it if they did not: the same seeds find every
 * planted bug.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import * as NativeApplications from "./NativeApplications.ts"
import { bugs, deltaBugs, shadowBugs, sweepBugs } from "./PlantedBugs.ts"
import * as ShadowApplications from "./ShadowApplications.ts"
import { type Applications, type Bug, type FleetKind, run } from "./Simulation.ts"

const seeds = Array.from({ length: 24 }, (_, index) => 1_000 + index)

/** Timeout in milliseconds of tests with many or long runs. */
const patience = 300_000

const check = (make: () => Applications, seed: number, bug?: Bug, kind?: FleetKind) =>
  Effect.map(
    Effect.suspend(() => run(seed, make(), bug, kind)),
    ({ chatty, contents, ended, expected, quarantine }) => {
      for (const [index, content] of contents.entries())
        assert.deepStrictEqual(content, expected, `seed ${seed}, instance ${index}`)
      assert.deepStrictEqual({ chatty, ended, quarantine }, { chatty: 0, ended: [], quarantine: 0 }, `seed ${seed}`)
    }
  )

const finds = (name: string, make: () => Applications, bug: () => Bug, checking = check, tried = seeds) =>
  it.effect(
    `finds a planted bug: ${name}`,
    () =>
      Effect.gen(function* () {
        for (const seed of tried) {
          const found = yield* Effect.exit(Effect.suspend(() => checking(make, seed, bug())))
          if (found._tag === "Success") continue
          // The bug must be found in the content of the fleet or in how its members ended. Any other failure does not
          // count.
          if (String(Cause.squash(found.cause)).startsWith("AssertionError")) return
          return yield* Effect.failCause(found.cause)
        }
        assert.fail("all fleets converged")
      }),
    patience
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

  for (const [name, bug] of Object.entries(deltaBugs)) finds(name, NativeApplications.makeLarge, bug)
})

describe("Simulation in shadow mode", () => {
  for (const seed of seeds) {
    it.effect(`a fleet converges, and loses nothing that only one writes (seed ${seed})`, () =>
      check(ShadowApplications.make, seed)
    )
  }

  for (const [name, bug] of Object.entries(shadowBugs)) finds(name, ShadowApplications.make, bug)
})

describe("Simulation of a fleet with one that neither writes nor reads deltas, and with clocks that jump", () => {
  const mixed = seeds.slice(0, 8).map((seed) => 100 + seed)
  for (const [mode, make] of [
    ["native", NativeApplications.makeLarge],
    ["shadow", ShadowApplications.make]
  ] as const)
    for (const seed of mixed)
      it.effect(`converges, ${mode} mode (seed ${seed})`, () => check(make, seed, undefined, "mixed"))

  it.effect("sends deltas in them", () =>
    Effect.gen(function* () {
      let deltas = 0
      for (const seed of mixed) deltas += (yield* run(seed, NativeApplications.makeLarge(), {}, "mixed")).deltas
      assert.isAbove(deltas, 20)
    })
  )
})

/** Removes the tombstones from a content, because some of them are swept. */
const livingIn = (content: unknown): unknown =>
  JSON.parse(JSON.stringify(content), (_, value: unknown) =>
    Array.isArray(value) ? value.filter((line) => !String(line).endsWith(" deleted")) : value
  )

const checkSweeping = (make: () => Applications, seed: number, bug?: Bug) =>
  Effect.map(
    Effect.suspend(() => run(seed, make(), bug, "sweeping")),
    ({ contents, deltas, ended, expected, quarantine, swept }) => {
      for (const [index, content] of contents.entries())
        assert.deepStrictEqual(livingIn(content), livingIn(expected), `seed ${seed}, instance ${index}`)
      assert.deepStrictEqual({ ended, quarantine }, { ended: [], quarantine: 0 }, `seed ${seed}`)
      return { deltas, swept }
    }
  )

describe("Simulation of a fleet that sweeps old tombstones", () => {
  for (const [mode, make] of [
    ["native", NativeApplications.makeLarge],
    ["shadow", ShadowApplications.make]
  ] as const) {
    for (const seed of seeds.slice(1, 4)) {
      it.effect(
        `has the same entries everywhere, none of which has come back, ${mode} mode (seed ${seed})`,
        () =>
          Effect.gen(function* () {
            const { deltas, swept } = yield* checkSweeping(make, seed)
            // Otherwise, the run has not tested anything.
            assert.isAbove(swept, 0)
            assert.isAbove(deltas, 0)
          }),
        patience
      )
    }
  }

  // The runs are long, and those of the first seeds do not find the bug.
  for (const [name, bug] of Object.entries(sweepBugs))
    finds(name, NativeApplications.makeLarge, bug, checkSweeping, seeds.slice(4))
})
