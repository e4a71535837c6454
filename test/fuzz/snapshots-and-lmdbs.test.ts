/**
 * Random snapshots, valid ones and others, are merged into real LMDBs with DBIs of all flags that a mode can have: no
 * snapshot ends a daemon, then or at the two starts after it, and nothing local is lost that no newer entry of a merged
 * snapshot takes the place of. What is there, LMDB itself says, in a process with none of our code.
 *
 * A run is a seed. It takes seconds; FUZZ_SECONDS makes it longer, FUZZ_SEED repeats the run of one seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../src/domain/lmdb/NativeHeader.ts"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import { DatabaseError, type DatabaseOptions } from "../../src/services/Database.ts"
import type { WriteTransaction } from "../../src/services/Lmdb.ts"
import * as LmdbReader from "../support/fakes/LmdbReader.ts"
import * as CompressionSync from "../support/fixtures/CompressionSync.ts"
import type { DecodedSnapshot } from "../support/fixtures/DecodedSnapshot.ts"
import { dump, merge, nativeOptions, over, raw, type RawDbi, write } from "../support/fixtures/Environments.ts"
import { temporaryFolder } from "../support/fixtures/GoldenEnvironments.ts"
import { nativeValue, objectOf, ofDbis } from "../support/fixtures/Snapshots.ts"
import * as Dice from "./Dice.ts"
import * as RandomSnapshot from "./RandomSnapshot.ts"

/** Enough for a dozen merges and refusals. */
const seedsMin = 40

/** Of what an application has written before the daemon came. */
const longAgo = 5n

const optionsOf = (path: string, mode: RandomSnapshot.ModeName, dice: Dice.Dice): DatabaseOptions =>
  nativeOptions(path, {
    ...(mode !== "native" && { shadow: { dupsortHack: mode === "dupsort_hack", createFlags: {} } }),
    mergeLockMillis: dice.pick([0, 0, 1])
  })

const running = (options: DatabaseOptions) => {
  const layer = over(LmdbNative.layerWith(options.lmdb), options, CompressionSync.layer)
  return <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, layer, { local: true })
}

const stored = (mode: RandomSnapshot.ModeName, value: Buffer): Buffer =>
  mode === "native" ? Buffer.concat([nativeValue(longAgo, ""), value]) : value

const putDbis =
  (mode: RandomSnapshot.ModeName, dbis: ReadonlyArray<RandomSnapshot.AppDbi>) =>
  (transaction: WriteTransaction): void => {
    for (const { flags, name, pairs } of dbis) {
      if (!transaction.dbis().some((dbi) => dbi.name === name)) transaction.create(name, flags)
      for (const { key, value } of pairs) {
        const bytes = stored(mode, value)
        transaction.put(name, key, 0, key.length, bytes, 0, bytes.length, false)
      }
    }
  }

const isMain = ({ name }: RawDbi) => !DbiName.isPrivate(name)

/** What the application has: as LMDB sees it in another process, and we see the same. */
const mainsOf = Effect.fnUntraced(function* (reader: LmdbReader.LmdbReader, path: string) {
  const seen = (yield* reader(path))
    .map(({ entries, flags, name }): RawDbi => ({ name: DbiName.fromText(name), flags, entries }))
    .filter(isMain)
  const ours = (yield* raw).filter((dbi) => isMain(dbi) && DbiName.toText(dbi.name) !== undefined)
  assert.deepStrictEqual(ours, seen)
  return seen
})

/** As entries of a snapshot name it: the key, or in a MDB_DUPSORT DBI the shadow's key of the pair. */
const identityOf = (flags: number, key: string, value: string): string => {
  if (!DbiFlags.isDupsort(flags)) return key
  const pair = { key: Buffer.from(key, "hex"), value: Buffer.from(value, "hex") }
  return RandomSnapshot.shadowKeyOf(pair).toString("hex")
}

const flatten = (dbis: ReadonlyArray<RawDbi>): ReadonlyMap<string, string> =>
  new Map(
    dbis.flatMap(({ entries, flags, name }) =>
      entries.map(({ key, value }) => [`${name}/${identityOf(flags, key, value)}`, value] as const)
    )
  )

const named = (snapshot: DecodedSnapshot): ReadonlyMap<string, ReadonlyArray<bigint>> => {
  const times = new Map<string, Array<bigint>>()
  for (const { entries, name } of snapshot.dbis) {
    for (const { key, timestampNano } of entries) {
      const id = `${name}/${key}`
      times.set(id, [...(times.get(id) ?? []), timestampNano])
    }
  }
  return times
}

/** What is gone, new or changed, the merged snapshot must account for. */
const unexplained = (
  mode: RandomSnapshot.ModeName,
  before: ReadonlyArray<RawDbi>,
  after: ReadonlyArray<RawDbi>,
  snapshot: DecodedSnapshot
): ReadonlyArray<string> => {
  const [old, left, times] = [flatten(before), flatten(after), named(snapshot)]
  const changed = [...old.keys(), ...left.keys()].filter((id) => old.get(id) !== left.get(id))
  const isOlder = (id: string) => {
    const value = old.get(id)
    if (mode !== "native" || value === undefined) return false
    const bytes = Buffer.from(value, "hex")
    const local = (BigInt(NativeHeader.timestampHigh(bytes, 0)) << 32n) | BigInt(NativeHeader.timestampLow(bytes, 0))
    return times.get(id)!.every((time) => time < local)
  }
  // A DBI that was dropped is filled from its shadow.
  const isThere = (id: string) => before.some(({ name }) => id.startsWith(`${name}/`))
  return changed.filter((id) => isThere(id) && (!times.has(id) || isOlder(id)))
}

const applicationDbi = ({ entries, flags, name }: RawDbi): RandomSnapshot.AppDbi => ({
  name,
  flags,
  pairs: entries.map(({ key, value }) => ({ key: Buffer.from(key, "hex"), value: Buffer.from(value, "hex") }))
})

const isQuarantined = (error: unknown): boolean =>
  error instanceof DatabaseError && error.reaction.startsWith("quarantine")

const harmless = objectOf(ofDbis([]))

/** One daemon's life: snapshots, and what the application does between them. */
const live = Effect.fnUntraced(function* (
  mode: RandomSnapshot.ModeName,
  dice: Dice.Dice,
  facts: Map<string, number>,
  mains: ReturnType<typeof mainsOf>
) {
  for (let merges = 1 + dice.below(3); merges > 0; merges--) {
    const before = yield* mains
    const local = before.map(applicationDbi)
    const snapshot = RandomSnapshot.snapshot(dice, local, mode, yield* Clock.currentTimeNanos)
    const result = yield* Effect.result(merge(objectOf(snapshot)))
    const after = yield* mains
    if (result._tag === "Success") {
      assert.deepStrictEqual(unexplained(mode, before, after, snapshot), [])
    } else {
      if (!isQuarantined(result.failure)) throw result.failure
      assert.deepStrictEqual(after.length < before.length, false)
      // A merge in parts may have applied DBIs and entries before the one that LMDB cannot take.
      assert.deepStrictEqual(unexplained(mode, before, after, snapshot), [])
    }
    const kind = result._tag === "Success" ? "merged" : String((result.failure as DatabaseError).reaction)
    facts.set(kind, (facts.get(kind) ?? 0) + 1)
    if (dice.once(4) && after.length > 0) {
      const { name } = dice.pick(after)
      yield* write((transaction) => transaction.drop(name))
    }
  }
})

const run = Effect.fnUntraced(function* (seed: number, facts: Map<string, number>, reader: LmdbReader.LmdbReader) {
  const dice = Dice.make(seed)
  const mode = dice.pick(["native", "shadow", "dupsort_hack", "dupsort_hack"] as const)
  const options = optionsOf(`${yield* temporaryFolder}/data.mdb`, mode, dice)
  yield* Effect.provide(
    write(putDbis(mode, RandomSnapshot.application(dice, mode))),
    LmdbNative.layerWith(options.lmdb),
    { local: true }
  )
  const mains = mainsOf(reader, options.lmdb.path)
  yield* live(mode, dice, facts, mains).pipe(running(options))
  for (let start = 0; start < 2; start++) {
    const before = yield* Effect.provide(mains, LmdbNative.layerWith(options.lmdb), { local: true })
    yield* Effect.gen(function* () {
      yield* merge(harmless)
      yield* dump()
      assert.deepStrictEqual(yield* mains, before)
    }).pipe(running(options))
  }
}, Effect.scoped)

describe("Random snapshots and LMDBs with all flags", () => {
  it.live(
    "no snapshot ends a daemon, then or at its next starts, and nothing local is destroyed",
    () =>
      Effect.gen(function* () {
        const facts = new Map<string, number>()
        const reader = yield* LmdbReader.make
        const isLong = yield* Dice.forSeeds(seedsMin, (seed) => run(seed, facts, reader))
        // Otherwise it would show nothing.
        for (const kind of isLong ? ["merged", "quarantine: refused"] : [])
          assert.isAbove(facts.get(kind) ?? 0, 10, JSON.stringify([...facts]))
      }).pipe(Effect.scoped),
    Dice.timeoutMillis
  )
})
