/**
 * Nothing in the bucket can end the daemon: golden files, good and bad ones, mutated, are put there under names of
 * other instances and under our own, before and after the start. The daemon goes on, and merges the valid snapshot
 * beside them.
 *
 * A round is a seed. It takes seconds; FUZZ_SECONDS makes it longer, FUZZ_SEED repeats the round of one seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb } from "../../src/services/Lmdb.ts"
import { databaseOptions, raw } from "../support/fixtures/Environments.ts"
import { read, snapshots } from "../support/fixtures/Golden.ts"
import { temporaryFolder } from "../support/fixtures/GoldenEnvironments.ts"
import * as SettingsTest from "../support/fixtures/SettingsTest.ts"
import { object } from "../support/fixtures/Snapshots.ts"
import { epoch, makeBucket, makeEnvironment, nameOf, pass, startDaemon } from "../programs/daemon/World.ts"
import * as Dice from "./Dice.ts"
import * as Mutations from "./Mutations.ts"

/** Enough for each kind of outcome. */
const seedsMin = 4

/** Large ones say nothing more, and take longer. */
const largestObject = 20_000

const objects = Effect.gen(function* () {
  const all = yield* Effect.forEach(yield* snapshots, ({ path }) => read(path))
  return all.map((bytes) => Buffer.from(bytes)).filter(({ length }) => length < largestObject)
})

/** A file that LMDB itself writes, opened once. */
const nativeEnvironment = Effect.gen(function* () {
  const path = `${yield* temporaryFolder}/data.mdb`
  const context = yield* Layer.build(LmdbNative.layerWith({ ...databaseOptions().lmdb, path, maxDbs: 200 }))
  return { ...makeEnvironment(), layer: Layer.succeed(Lmdb, Context.get(context, Lmdb)) }
})

const modes = [
  { schema_tracks_changes: true, dupsort_hack: false },
  { schema_tracks_changes: false, dupsort_hack: false },
  { schema_tracks_changes: false, dupsort_hack: true }
]

const round = Effect.fnUntraced(function* (seed: number, golden: ReadonlyArray<Buffer>, met: Set<string>) {
  const dice = Dice.make(seed)
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const putMutated = (instance: string, at: number) =>
    bucket.store(nameOf(instance, at), Mutations.mutated(dice.pick(golden), dice))
  for (let i = 0; i < 12; i++) yield* putMutated(`foreign${i}`, epoch - 9_000)
  for (let i = dice.below(3); i > 0; i--) yield* putMutated("a", epoch - 8_000 - i)
  yield* bucket.store(nameOf("good", epoch - 7_000), object({ good: [["merged", 5, "v"]] }))

  const base = SettingsTest.make()
  const main = { ...base.lmdbs["main"]!, ...dice.pick(modes), path: "/memory/main" }
  const environment = yield* nativeEnvironment
  const daemon = yield* startDaemon({
    bucket,
    environments: { main: environment },
    settings: { lmdbs: { main } }
  })
  yield* pass(6_000)
  for (let i = 0; i < 4; i++) yield* putMutated(dice.pick(["a", "foreign0", "late"]), epoch - 6_000 + i)
  yield* bucket.store(nameOf("good", epoch - 1_000), object({ good: [["later", 6, "v"]] }))
  yield* pass(6_000)
  assert.isUndefined(yield* daemon.ended, `it ended: ${daemon.failures.join()}`)
  assert.lengthOf(daemon.logged("Internal error"), 0)
  const dbis = yield* Effect.provide(raw, environment.layer, { local: true })
  const good = dbis.find(({ name }) => name === "good")
  const keys = good?.entries.map(({ key }) => Buffer.from(key, "hex").toString()) ?? []
  assert.includeMembers(keys, ["later", "merged"])
  for (const { fields, message } of daemon.lines) {
    if (message.startsWith("Snapshot quarantined"))
      met.add(/: the snapshot is (\w+):/.exec(String(fields["error"]))?.[1] ?? "container")
    if (message === "Loaded remote update" && fields["snapshot_instance"] !== "good") met.add("merged")
  }
  yield* daemon.stop
}, Effect.scoped)

describe("A bucket with mutated snapshots", () => {
  it.effect(
    "cannot end the daemon, nor keep it from merging a valid one beside them",
    () =>
      Effect.gen(function* () {
        const golden = yield* objects
        assert.isAbove(golden.length, 100)
        const met = new Set<string>()
        const isLong = yield* Dice.forSeeds(seedsMin, (seed) => round(seed, golden, met))
        // Otherwise the mutations did not reach the merge.
        if (isLong) assert.includeMembers([...met], ["merged", "corrupt", "refused"])
      }),
    Dice.timeoutMillis
  )
})
