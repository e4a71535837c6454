/**
 * A fleet on virtual time: two to four instances with their applications over one bucket, which write, delete, restart,
 * are killed, lose their LMDB and have wrong clocks, while the bucket fails in all its ways and some of them clean it
 * eagerly. In the end the weather clears up, and everybody must hold the same, which is what the applications' model
 * holds. A seed gives the same run again.
 *
 * What an application wrote is lost only with an LMDB that is lost after an orderly end: everything was sent by then.
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
import type { LmdbError } from "../../src/services/Lmdb.ts"
import type { SettingsValues } from "../../src/services/Settings.ts"
import { ObjectNotFound } from "../../src/services/Storage.ts"
import { unavailable } from "../support/fakes/StorageFaults.ts"
import { Choices } from "./Choices.ts"

/** What is planted into every daemon of a run. */
export type Bug = Pick<DaemonSetup, "database" | "lmdb"> & {
  readonly storage?: (storage: Bucket["storage"], instance: string) => Bucket["storage"]
}

/** What the instances' applications do; new for each run. */
export interface Applications {
  /** Of the daemons beside them. */
  readonly settings: Partial<SettingsValues>
  /** One transaction: a few keys, some of them deleted. */
  readonly write: (fleet: Fleet, instance: Instance) => Effect.Effect<unknown, LmdbError>
  /** What the instance's LMDB holds at first, if that is not empty. */
  readonly prepare?: (environment: Environment) => Effect.Effect<unknown, LmdbError>
  /** The daemon has ended, in whatever way. */
  readonly ended: (instance: Instance) => void
  readonly content: (instance: Instance) => Effect.Effect<unknown, LmdbError>
  /** What everybody must hold in the end. `held`: what the first one does. */
  readonly expected: (held: unknown) => unknown
}

export interface Instance {
  readonly name: string
  /** It neither writes nor reads deltas, as Lightning Stream. */
  readonly isOriginal: boolean
  /** How far its clock is ahead, in milliseconds. */
  skew: number
  environment: Environment
  daemon: RunningDaemon | undefined
  /** Starts, and commits of the application. */
  reasonsToSend: number
}

export interface Fleet {
  readonly bucket: Bucket
  readonly choices: Choices
  readonly instances: ReadonlyArray<Instance>
  readonly applications: Applications
  readonly bug: Bug
  /** One of the instances is an original, and clocks jump. */
  readonly isMixed: boolean
  now: number
  /** Once a run: the same object broken in two downloads is corrupt for everybody's purposes. */
  flipped: boolean
}

const settings = {
  lmdb_poll_interval: Duration.seconds(1),
  storage_poll_interval: Duration.seconds(1),
  storage_retry_interval: Duration.seconds(1)
}

/** Sooner than anybody would. */
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

/** An original does not take deltas for snapshots. */
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

const start = Effect.fnUntraced(function* ({ applications, bucket, bug, choices }: Fleet, instance: Instance) {
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

/** Stops or kills, or starts again, sometimes with an empty LMDB. */
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
  // Sent as soon as it may be: what the old one held must come back before.
  yield* write(fleet, instance)
  yield* start(fleet, instance)
})

const act = Effect.fnUntraced(function* (fleet: Fleet) {
  const { choices } = fleet
  const instance = choices.of(fleet.instances)
  if (fleet.isMixed && choices.chance(0.05)) instance.skew += choices.of([-90_000, -2_000, 2_000, 90_000])
  const dice = choices.next()
  if (dice < 0.45) yield* write(fleet, instance)
  else if (dice < 0.6) yield* misbehave(fleet, instance)
  else if (dice < 0.75) yield* restart(fleet, instance)
  else yield* pass(fleet, choices.of([250, 500, 1_000, 2_500]))
})

/** What a run came to: each instance's content, what it must be, and what must not happen whatever the weather. */
export const run = Effect.fn("Simulation.run")(function* (
  seed: number,
  applications: Applications,
  bug: Bug = {},
  isMixed = false
) {
  const choices = new Choices(seed)
  yield* TestClock.setTime(epoch)
  const instances = ["a", "b", "c", "d"].slice(0, 2 + choices.below(3)).map((name): Instance => ({
    name,
    isOriginal: isMixed && name === "a",
    skew: choices.of([0, 0, 500, -4_000, 60_000]),
    environment: makeEnvironment(),
    daemon: undefined,
    reasonsToSend: 0
  }))
  const bucket = yield* makeBucket
  const fleet: Fleet = { bucket, choices, instances, applications, bug, isMixed, now: epoch, flipped: false }
  for (const { environment } of instances) yield* applications.prepare?.(environment) ?? Effect.void
  for (const instance of instances) if (choices.chance(0.5)) yield* start(fleet, instance)
  for (let action = 0; action < 50; action++) yield* act(fleet)

  yield* fleet.bucket.faults.clear
  for (const instance of instances) if (instance.daemon === undefined) yield* start(fleet, instance)
  yield* pass(fleet, 70_000)
  const stored = yield* fleet.bucket.callsOf("store")
  const ended: Array<unknown> = []
  for (const { daemon } of instances) ended.push(yield* daemon!.ended)
  const contents = yield* Effect.forEach(instances, applications.content)
  const result = {
    contents,
    stored,
    expected: applications.expected(contents[0]),
    /** Instances that sent more than they had reasons to: once each, or a delta and a full snapshot for an original. */
    chatty: instances.filter(
      ({ name, reasonsToSend }) =>
        new Set(stored.filter((each) => each.includes(`__${name}__`))).size > (isMixed ? 2 : 1) * reasonsToSend
    ).length,
    deltas: stored.filter((each) => each.includes(".pbd.")).length,
    ended: ended.filter((exit) => exit !== undefined),
    quarantine: instances.flatMap(({ daemon }) => daemon!.logged("Snapshot quarantined")).length
  }
  for (const { daemon } of instances) yield* daemon!.kill
  return result
}, Effect.scoped)
