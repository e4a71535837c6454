/**
 * Instances in shadow mode that exchange snapshots, in any interleaving of writes, deletions, merges, dumps, restarts,
 * and DBIs that are dropped and recreated: after every step each is what the model says, and in the end all are the
 * same.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Lmdb, type LmdbError } from "../../../../src/services/Lmdb.ts"
import { changedWrites } from "../../../support/fakes/ChangedWrites.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { shown } from "../../../support/fixtures/LastWriteWins.ts"
import { ShadowModel, type Versions } from "../../../support/fixtures/ShadowModel.ts"
import { dump, merge, over } from "../../../support/fixtures/Environments.ts"
import {
  bytes,
  drop,
  DUPSORT,
  main,
  pairKey,
  put,
  remove,
  removePair,
  shadowContent,
  shadowOptions
} from "../../../support/fixtures/ShadowEnvironments.ts"

const oneOf = <const L extends ReadonlyArray<string | number>>(values: L) => Arbitrary.schema(Schema.Literals(values))

const step = Arbitrary.all({
  do: oneOf([
    "write",
    "write",
    "write",
    "delete",
    "delete",
    "dump",
    "dump",
    "merge",
    "merge",
    "merge",
    "restart",
    "restart",
    "drop"
  ]),
  who: oneOf([0, 1, 2]),
  other: oneOf([0, 1, 2]),
  key: oneOf(["k", "l"]),
  value: oneOf(["", "x", "y"]),
  /** Milliseconds since the step before: clocks of instances tie now and then, and step back. */
  after: oneOf([0, 0, 1, 1, -2])
})

const histories = Arbitrary.all({
  flags: oneOf([0, 0, DUPSORT]),
  steps: Arbitrary.array(step, { maxLength: 40 })
})

type History = typeof histories extends Arbitrary.Arbitrary<infer A> ? A : never

/** Around the environment of each instance: a bug as one might make it. */
type Plant = (lmdb: Layer.Layer<Lmdb, LmdbError>) => Layer.Layer<Lmdb, LmdbError>

class Differs extends Error {}

const assertSame = (actual: unknown, expected: unknown): void => {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Differs(`${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

const dbi = "d"
const shownVersions = (versions: Versions) => shown(new Map([[DbiName.fromText(dbi), versions]]))
const hex = (text: string) => bytes(text).toString("hex")

/** One instance, its application, and its model. */
const makeReplica = Effect.fnUntraced(function* ({ flags }: History, plant: Plant) {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  const model = new ShadowModel()
  const database = over(plant(layer), shadowOptions({ dupsortHack: true }), CompressionSync.layer)
  const idOf = (key: string, value: string) => hex(flags === 0 ? key : pairKey(key, value))
  let process = yield* Scope.make()
  let context = yield* Layer.buildWithScope(Layer.fresh(database), process)
  yield* Effect.addFinalizer((exit) => Effect.suspend(() => Scope.close(process, exit)))
  const running = <A, E>(effect: Effect.Effect<A, E, Layer.Success<typeof database>>) =>
    Effect.suspend(() => Effect.provideContext(effect, context))

  /** In the order of the shadow, keys without their values: the same for both kinds of DBIs. */
  const expectedMain = () =>
    model.main &&
    Array.from(model.main)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, value]) => {
        const key = Buffer.from(id, "hex").toString("latin1")
        return `${flags === 0 ? key : key.slice(0, 1)}=${Buffer.from(value, "hex").toString("latin1")}`
      })

  return {
    model,
    running,
    write: (key: string, value: string) => {
      // LMDB cannot hold an empty value beside others.
      const content = flags === 0 ? value : `${value}v`
      model.main ??= new Map()
      model.main.set(idOf(key, content), hex(content))
      return application.write(put(dbi, [[key, content]], flags))
    },
    delete: (key: string, value: string) => {
      const content = flags === 0 ? value : `${value}v`
      if (model.main === undefined) return Effect.void
      model.main.delete(idOf(key, content))
      return application.write(flags === 0 ? remove(dbi, key) : removePair(dbi, key, content))
    },
    drop: Effect.suspend(() => {
      if (model.main === undefined) return Effect.void
      model.main = undefined
      return application.write(drop(dbi))
    }),
    restart: Effect.gen(function* () {
      yield* Scope.close(process, Exit.void)
      process = yield* Scope.make()
      context = yield* Layer.buildWithScope(Layer.fresh(database), process)
      model.start()
    }),
    check: running(
      Effect.gen(function* () {
        assertSame(yield* main(dbi), expectedMain())
        assertSame(
          shownVersions((yield* shadowContent).get(DbiName.fromText(dbi)) ?? new Map()),
          shownVersions(model.shadow)
        )
      })
    ),
    live: running(main(dbi))
  }
})

type Replica = Effect.Success<ReturnType<typeof makeReplica>>

/** A snapshot as an object, and as the model has it. */
interface Sent {
  readonly object: Uint8Array
  readonly versions: Versions | undefined
}

const start = 1_000
let clock = start

/** Fails with what differs. */
const run = Effect.fnUntraced(function* (history: History, plant: Plant = (lmdb) => lmdb) {
  clock = start
  const replicas = yield* Effect.replicateEffect(
    Effect.suspend(() => makeReplica(history, plant)),
    3
  )
  const sent: Array<Sent | undefined> = [undefined, undefined, undefined]
  const nanos = () => BigInt(clock) * 1_000_000n

  const send = Effect.fnUntraced(function* ({ model, running }: Replica, who: number) {
    const { object } = yield* running(dump())
    sent[who] = { object, versions: model.dump(nanos()) }
  })
  const receive = Effect.fnUntraced(function* ({ model, running }: Replica, other: number) {
    const snapshot = sent[other]
    if (snapshot === undefined) return
    yield* running(merge(snapshot.object))
    model.merge(snapshot.versions, nanos())
  })

  for (const { after, do: what, key, other, value, who } of history.steps) {
    clock += after
    yield* TestClock.setTime(clock)
    const replica = replicas[who]!
    if (what === "write") yield* replica.write(key, value)
    else if (what === "delete") yield* replica.delete(key, value)
    else if (what === "drop") yield* replica.drop
    else if (what === "restart") yield* replica.restart
    else if (what === "dump") yield* send(replica, who)
    else yield* receive(replica, other)
    // What the copy has not seen yet is not in the shadow.
    if (what === "dump" || what === "restart" || (what === "merge" && sent[other] !== undefined)) yield* replica.check
  }

  // Everybody's news to everybody, and once more for a DBI that only came back with the first round.
  clock++
  yield* TestClock.setTime(clock)
  for (let round = 0; round < 2; round++) {
    for (const [who, replica] of replicas.entries()) yield* send(replica, who)
    for (const [who, replica] of replicas.entries())
      for (const other of [who, (who + 1) % 3, (who + 2) % 3]) yield* receive(replica, other)
  }
  for (const replica of replicas) {
    yield* replica.check
    // A DBI that all have dropped is nobody's news.
    if (replica.model.main !== undefined)
      assertSame(shownVersions(replica.model.shadow), shownVersions(replicas[0]!.model.shadow))
    assertSame(yield* replica.live, yield* replicas[0]!.live)
  }
}, Effect.scoped)

const check = (plant: Plant, runs: number) =>
  Arbitrary.checkEffect(
    histories,
    (history) =>
      run(history, plant).pipe(
        Effect.as(true),
        Effect.catchDefect((defect) => (defect instanceof Differs ? Effect.succeed(false) : Effect.die(defect)))
      ),
    { seed: "shadow", runs, size: 60, maxShrinks: 0 }
  )

const isMain = (name: string) => !name.startsWith("_sync")

describe("Shadow mode, over arbitrary histories", () => {
  it.effect.prop(
    "everybody is what the model says after each step, and in the end all are the same",
    [histories],
    ([history]) => run(history),
    { arbitrary: { runs: 120, size: 60 } }
  )

  const bugs: Readonly<Record<string, Plant>> = {
    "what is deleted by others stays in main": changedWrites(() => ({ remove: () => false, removePair: () => false })),
    "a live key with an empty value is deleted in main": changedWrites((transaction) => ({
      put: (dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append) => {
        if (isMain(dbi) && valueStart === valueEnd) transaction.remove(dbi, key, keyStart, keyEnd)
        else transaction.put(dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append)
      }
    })),
    "the first copy gives the current time": changedWrites((transaction) => ({
      put: (dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append) => {
        const copy = Buffer.from(value.subarray(valueStart, valueEnd))
        if (!isMain(dbi) && copy.readBigUInt64BE() === 1n) copy.writeBigUInt64BE(BigInt(clock) * 1_000_000n)
        transaction.put(dbi, key, keyStart, keyEnd, copy, 0, copy.length, append)
      }
    }))
  }
  for (const [bug, plant] of Object.entries(bugs)) {
    it.effect(`finds the planted bug: ${bug}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* check(plant, 200))._tag, "Falsified")
      })
    )
  }
})
