/**
 * Tests that an instance that follows the deltas of others has the content that they have stored, whatever it misses:
 * listings that lag or hide objects, loads that fail, damaged downloads, restarts with and without the LMDB, and
 * cleaners. The same seeds find every planted bug.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Storage } from "../../src/services/Storage.ts"
import {
  type Bucket,
  epoch,
  makeBucket,
  makeEnvironment,
  type RunningDaemon,
  settle,
  startDaemon
} from "../programs/daemon/World.ts"
import { unavailable } from "../support/fakes/StorageFaults.ts"
import { contentOf, mergeSnapshot, shown } from "../support/fixtures/LastWriteWins.ts"
import { snapshot } from "../support/fixtures/Snapshots.ts"
import { Choices } from "./Choices.ts"
import { DeltaWriter, type WriterBug } from "./DeltaWriter.ts"

interface PlantedBug extends WriterBug {
  readonly storage?: (storage: Storage["Service"]) => Storage["Service"]
}

const poll = Duration.seconds(1)

const misbehave = Effect.fnUntraced(function* ({ faults, names }: Bucket, choices: Choices) {
  const times = 1 + choices.below(3)
  const name = choices.of(yield* names)
  switch (choices.below(5)) {
    case 0:
      return yield* faults.add({ operation: "list", times: 1 + choices.below(8) }, { kind: "list hides", name })
    case 1:
      return yield* faults.add({ operation: "list", times }, { kind: "list lags", behind: Duration.seconds(times) })
    case 2:
      return yield* faults.add({ operation: "load", times }, { kind: "fail", reason: unavailable })
    case 3:
      return yield* faults.add({ operation: "load" }, { kind: "flip", byte: choices.below(60), bit: choices.below(8) })
    default:
      return yield* faults.add({ operation: "load", times }, { kind: "delay", duration: "2 seconds" })
  }
})

const run = Effect.fnUntraced(function* (seed: number, bug: PlantedBug) {
  const choices = new Choices(seed)
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const writers = ["b", "c"].slice(0, 1 + choices.below(2)).map((name) => new DeltaWriter(name, bucket, choices, bug))
  let environment = makeEnvironment()
  let daemon: RunningDaemon | undefined
  let now = epoch
  const pass = Effect.fnUntraced(function* (millis: number) {
    const step = millis > 2_500 ? 500 : 250
    for (let left = millis; left > 0; left -= step) {
      yield* TestClock.adjust(step)
      yield* settle
      now += step
    }
  })
  const start = Effect.gen(function* () {
    if (choices.chance(0.3)) environment = makeEnvironment()
    daemon = yield* startDaemon({
      bucket,
      environments: { main: environment },
      settings: { storage_poll_interval: poll, lmdb_poll_interval: poll, storage_retry_interval: poll },
      options: { receiveOnly: true },
      ...(bug.storage === undefined ? {} : { storage: bug.storage(bucket.storage) })
    })
  })
  for (const writer of writers) yield* writer.send(now)
  yield* start
  for (let action = 0; action < 60; action++) {
    const dice = choices.next()
    if (dice < 0.6) yield* choices.of(writers).send(now)
    else if (dice < 0.7) yield* misbehave(bucket, choices)
    else if (dice < 0.75) yield* choices.of(writers).clean()
    else if (dice < 0.8) {
      yield* daemon!.kill
      yield* start
    } else yield* pass(choices.of([250, 500, 1_000, 12_000]))
  }
  // Only a full snapshot contains what was lost.
  for (const writer of writers) if (writer.isHurt) yield* writer.sendFull()
  yield* bucket.faults.clear
  yield* pass(15_000)
  const held = yield* environment.content
  const merged = yield* Effect.sync(() =>
    shown(writers.map((writer) => snapshot({ d: writer.lines })).reduce(mergeSnapshot, contentOf([])))
  )
  const loads = (yield* bucket.callsOf("load")).filter((name) => name.endsWith(".pbd.gz")).length
  const ended = yield* daemon!.ended
  yield* daemon!.kill
  return { held, merged, loads, ended }
}, Effect.scoped)

const seeds = Array.from({ length: 20 }, (_, index) => 7_000 + index)

const check = Effect.fnUntraced(function* (seed: number, bug: PlantedBug = {}) {
  const { ended, held, loads, merged } = yield* run(seed, bug)
  assert.isUndefined(ended, `seed ${seed}`)
  assert.deepStrictEqual(held, merged, `seed ${seed}`)
  return loads
})

const bugs: Readonly<Record<string, PlantedBug>> = {
  "a delta misses an entry": { missesEntry: true },
  "a delta begins later than its name says": { beginsLate: true },
  "a cleaner removes a delta that no full snapshot covers": { cleansUncovered: true },
  "a full snapshot is passed over that is needed": {
    storage: (storage) => {
      const first = new Set<string>()
      return {
        ...storage,
        list: (prefix) =>
          Effect.map(storage.list(prefix), (objects) =>
            objects.filter(({ name }) => {
              const instance = name.split("__")[1]!
              if (name.endsWith(".pbd.gz")) return true
              if (![...first].some((each) => each.includes(`__${instance}__`))) first.add(name)
              return first.has(name)
            })
          )
      }
    }
  }
}

describe("Following deltas", () => {
  for (const seed of seeds) {
    it.effect(`gives what the others have stored (seed ${seed})`, () =>
      Effect.gen(function* () {
        // Several deltas must be loaded, or the run has not tested anything.
        assert.isAtLeast(yield* check(seed), 3)
      })
    )
  }

  for (const [name, bug] of Object.entries(bugs)) {
    it.effect(`finds a planted bug: ${name}`, () =>
      Effect.gen(function* () {
        for (const seed of seeds) {
          const found = yield* Effect.exit(check(seed, bug))
          if (found._tag === "Success") continue
          if (String(Cause.squash(found.cause)).startsWith("AssertionError")) return
          return yield* Effect.failCause(found.cause)
        }
        assert.fail("nothing is missing")
      })
    )
  }
})
