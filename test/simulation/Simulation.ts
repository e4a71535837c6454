/**
 * A fleet in virtual time: two to four instances and their applications share one bucket. They write, delete, restart,
 * are killed, lose their LMDB and have wrong clocks, while the bucket fails in all its ways and some of them clean it
 * at short intervals. At the end the faults stop, and all instances must have the same content, which is that of the
 * applications' model. The same seed gives the same run.
 *
 * In a fleet that sweeps, a second history follows a time in which the tombstones of the first one become old. They are
 * swept at different times by each instance, while deltas and full snapshots are exchanged. No instance is away for
 * longer than tombstones are kept.
 *
 * An instance loses its LMDB only after an orderly end, at which everything was sent, so no write of an application is
 * lost.
 */
import { Duration, Effect, type Exit } from "effect"
import { TestClock } from "effect/testing"
import {
  type Bucket,
  type DaemonSetup,
  type Environment,
  epoch,
  makeBucket,
  makeEnvironment,
  type RunningDaemon,
  settle,
  startDaemon
} from "../programs/daemon/World.ts"
import * as SettingsTest from "../support/fixtures/SettingsTest.ts"
import type { LmdbError } from "../../src/services/Lmdb.ts"
import type { SettingsValues } from "../../src/services/Settings.ts"
import { ObjectNotFound } from "../../src/services/Storage.ts"
import { unavailable } from "../support/fakes/StorageFaults.ts"
import { Choices } from "./Choices.ts"

/** A bug that is planted into every daemon of a run. */
export type Bug = Pick<DaemonSetup, "database" | "lmdb"> & {
  readonly storage?: (storage: Bucket["storage"], instance: string) => Bucket["storage"]
}

/** The behaviour of the applications of a run. */
export interface Applications {
  /** Settings of the daemons. */
  readonly settings: Partial<SettingsValues>
  /** Commits one transaction with changes of a few keys, some of which are deleted. */
  readonly write: (fleet: Fleet, instance: Instance) => Effect.Effect<unknown, LmdbError>
  /** Writes the initial content of the instance's LMDB, if it is not empty. */
  readonly prepare?: (environment: Environment) => Effect.Effect<unknown, LmdbError>
  /** Called when the daemon of an instance has ended, for any reason. */
  readonly ended: (instance: Instance) => void
  readonly content: (instance: Instance) => Effect.Effect<unknown, LmdbError>
  /** Returns the content that all instances must have at the end. `held` is the content of the first instance. */
  readonly expected: (held: unknown) => unknown
}

export interface Instance {
  readonly name: string
  /** True if it neither writes nor reads deltas, like Lightning Stream. */
  readonly isOriginal: boolean
  /** Number of milliseconds by which its clock is ahead. */
  skew: number
  environment: Environment
  daemon: RunningDaemon | undefined
  /** Number of starts, and of commits of the application. */
  reasonsToSend: number
}

/**
 * What is special about a fleet: one of the instances of a mixed one is an original, and clocks jump; a sweeping one
 * removes old tombstones.
 */
export type FleetKind = "usual" | "mixed" | "sweeping"

export interface Fleet {
  readonly bucket: Bucket
  readonly choices: Choices
  readonly instances: ReadonlyArray<Instance>
  readonly applications: Applications
  readonly bug: Bug
  readonly kind: FleetKind
  now: number
  /**
   * True if an object was damaged in a download, which happens once per run: an object that is damaged in two downloads
   * would be quarantined.
   */
  flipped: boolean
}

const settings = {
  lmdb_poll_interval: Duration.seconds(1),
  storage_poll_interval: Duration.seconds(1),
  storage_retry_interval: Duration.seconds(1)
}

/**
 * Settings of a fleet that sweeps. Forced snapshots are more frequent than sweeps, as in production, so that the bucket
 * has no live entries whose tombstones are swept.
 */
const sweeping = {
  storage_force_snapshot_interval: Duration.minutes(1),
  sweeper: {
    ...SettingsTest.make().sweeper,
    enabled: true,
    retention_days: Duration.toDays(Duration.minutes(4)),
    first_interval: Duration.seconds(2),
    interval: Duration.seconds(10)
  }
}

/** Returns settings of a cleaner with much shorter intervals than in production. */
const cleaning = (choices: Choices) => ({
  storage: {
    type: "memory" as const,
    options: {},
    cleanup: {
      enabled: choices.chance(0.6),
      interval: Duration.seconds(2),
      must_keep_interval: Duration.seconds(choices.of([0, 3, 6])),
      remove_old_instances_interval: Duration.seconds(choices.of([5, 30, 3_600]))
    }
  }
})

/**
 * Returns the storage of an instance. An original does not recognize deltas as snapshots, so they are not listed for
 * it.
 */
const storageOf = (storage: Bucket["storage"], { isOriginal }: Instance): Bucket["storage"] => ({
  ...storage,
  list: (prefix) =>
    Effect.map(storage.list(prefix), (objects) => objects.filter(({ name }) => !isOriginal || !name.includes(".pbd.")))
})

const pass = (fleet: Fleet, millis: number) =>
  Effect.gen(function* () {
    for (let left = millis; left > 0; left -= 250) {
      yield* TestClock.adjust(Math.min(250, left))
      yield* settle
      fleet.now += Math.min(250, left)
    }
  })

const start = Effect.fnUntraced(function* ({ applications, bucket, bug, choices, kind }: Fleet, instance: Instance) {
  instance.reasonsToSend++
  instance.daemon = yield* startDaemon({
    ...bug,
    bucket,
    storage: storageOf(bug.storage?.(bucket.storage, instance.name) ?? bucket.storage, instance),
    environments: { main: instance.environment },
    settings: {
      ...settings,
      ...applications.settings,
      ...cleaning(choices),
      ...(kind === "sweeping" ? sweeping : {}),
      instance: instance.name,
      merge_lock_duration: Duration.millis(choices.of([0, 10])),
      ...(instance.isOriginal ? { delta_snapshots: "never" } : {})
    },
    skew: () => instance.skew
  })
})

const write = (fleet: Fleet, instance: Instance) =>
  Effect.andThen(
    fleet.applications.write(fleet, instance),
    Effect.sync(() => instance.reasonsToSend++)
  )

const misbehave = (fleet: Fleet, instance: Instance) => {
  const {
    bucket: { faults },
    choices
  } = fleet
  const times = 1 + choices.below(4)
  const name = choices.chance(0.5) ? new RegExp(`__${instance.name}__`) : /./
  switch (choices.below(7)) {
    case 0:
      return faults.add({ operation: "list", times }, { kind: "fail", reason: unavailable })
    case 1:
      return faults.add({ operation: "load", name, times }, { kind: "fail", reason: unavailable })
    case 2:
      return faults.add({ operation: "store", name, times }, { kind: "fail", reason: unavailable })
    case 3:
      return faults.add({ operation: "store", name, times }, { kind: "fail after", reason: unavailable })
    case 4:
      if (fleet.flipped) return Effect.void
      fleet.flipped = true
      return faults.add(
        { operation: "load", name, times: 1 },
        { kind: "flip", byte: choices.below(100), bit: choices.below(8) }
      )
    case 5:
      return faults.add({ operation: "load", name, times: 1 }, { kind: "fail", reason: new ObjectNotFound() })
    default:
      return faults.add(
        { operation: "load", name, times },
        choices.chance(0.5) ? { kind: "cut", bytes: choices.below(80) } : { kind: "delay", duration: "3 seconds" }
      )
  }
}

/** Stops or kills the daemon of an instance, or starts it again, sometimes with an empty LMDB. */
const restart = Effect.fnUntraced(function* (fleet: Fleet, instance: Instance) {
  const { choices } = fleet
  const { daemon } = instance
  if (daemon === undefined) return yield* start(fleet, instance)
  instance.daemon = undefined
  fleet.applications.ended(instance)
  if (choices.chance(0.5)) return yield* daemon.kill
  yield* daemon.stop
  yield* pass(fleet, 7_500)
  const exitCode: number | Exit.Exit<number> | undefined = yield* daemon.ended
  if (exitCode === undefined) yield* daemon.kill
  if (exitCode !== 0 || choices.chance(0.5)) return
  instance.environment = makeEnvironment()
  // The application writes before the daemon starts, so that there is something to send at once. The content of the old
  // LMDB must be merged before that.
  yield* write(fleet, instance)
  yield* start(fleet, instance)
})

const act = Effect.fnUntraced(function* (fleet: Fleet) {
  const { choices } = fleet
  const instance = choices.of(fleet.instances)
  if (fleet.kind === "mixed" && choices.chance(0.05)) instance.skew += choices.of([-90_000, -2_000, 2_000, 90_000])
  const dice = choices.next()
  if (dice < 0.45) yield* write(fleet, instance)
  else if (dice < 0.6) yield* misbehave(fleet, instance)
  else if (dice < 0.75) yield* restart(fleet, instance)
  else yield* pass(fleet, choices.of([250, 500, 1_000, 2_500]))
})

/** Ends the faults, starts all instances, and lets them converge. */
const calmDown = Effect.fnUntraced(function* (fleet: Fleet) {
  yield* fleet.bucket.faults.clear
  for (const instance of fleet.instances) if (instance.daemon === undefined) yield* start(fleet, instance)
  yield* pass(fleet, 70_000)
})

/**
 * Lets the tombstones of the history so far become old, while all instances run and some applications write: most of
 * the tombstones are swept during this time, and the others during the next actions. Returns the number of tombstones
 * that were swept.
 */
const age = Effect.fnUntraced(function* (fleet: Fleet) {
  for (let minutes = 0; minutes < 5; minutes++) {
    yield* write(fleet, fleet.choices.of(fleet.instances))
    for (let steps = 0; steps < 20; steps++) {
      yield* TestClock.adjust(3_000)
      yield* settle
      fleet.now += 3_000
    }
  }
  const sweeps = fleet.instances.flatMap(({ daemon }) => daemon!.logged("Sweep for stale deleted entries completed"))
  return sweeps.reduce((sum, { fields }) => sum + Number(fields["cleaned_entries"]), 0)
})

/**
 * Runs a simulation. Returns the content of each instance, the expected content, and facts about events that must never
 * occur.
 */
export const run = Effect.fn("Simulation.run")(function* (
  seed: number,
  applications: Applications,
  bug: Bug = {},
  kind: FleetKind = "usual"
) {
  const choices = new Choices(seed)
  yield* TestClock.setTime(epoch)
  const instances = ["a", "b", "c", "d"].slice(0, 2 + choices.below(3)).map((name): Instance => ({
    name,
    isOriginal: kind === "mixed" && name === "a",
    skew: choices.of([0, 0, 500, -4_000, 60_000]),
    environment: makeEnvironment(),
    daemon: undefined,
    reasonsToSend: 0
  }))
  const bucket = yield* makeBucket
  const fleet: Fleet = { bucket, choices, instances, applications, bug, kind, now: epoch, flipped: false }
  for (const { environment } of instances) yield* applications.prepare?.(environment) ?? Effect.void
  for (const instance of instances) if (choices.chance(0.5)) yield* start(fleet, instance)
  for (let action = 0; action < 50; action++) yield* act(fleet)
  yield* calmDown(fleet)
  let swept = 0
  if (kind === "sweeping") {
    swept = yield* age(fleet)
    for (let action = 0; action < 30; action++) yield* act(fleet)
    yield* calmDown(fleet)
  }
  const stored = yield* fleet.bucket.callsOf("store")
  const ended: Array<unknown> = []
  for (const { daemon } of instances) ended.push(yield* daemon!.ended)
  const contents = yield* Effect.forEach(instances, applications.content)
  const result = {
    contents,
    stored,
    expected: applications.expected(contents[0]),
    /**
     * Number of instances that have sent more than necessary: one object per reason or, beside an original, a delta and
     * a full snapshot.
     */
    chatty: instances.filter(
      ({ name, reasonsToSend }) =>
        new Set(stored.filter((each) => each.includes(`__${name}__`))).size > (kind === "mixed" ? 2 : 1) * reasonsToSend
    ).length,
    deltas: stored.filter((each) => each.includes(".pbd.")).length,
    swept,
    ended: ended.filter((exit) => exit !== undefined),
    quarantine: instances.flatMap(({ daemon }) => daemon!.logged("Snapshot quarantined")).length
  }
  for (const { daemon } of instances) yield* daemon!.kill
  return result
}, Effect.scoped)
