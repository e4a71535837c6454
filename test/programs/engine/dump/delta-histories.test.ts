/**
 * Delta snapshots over random histories: the state at F with a delta from F merged into it is the state at T, and the
 * delta holds what has changed and no more. Deltas in a row may be merged together. Removals without a tombstone leave
 * the entry (native mode, dropped DBIs).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { gunzipSync } from "node:zlib"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { Database, type DatabaseOptions, type DeltaRequest } from "../../../../src/services/Database.ts"
import type { WriteTransaction } from "../../../../src/services/Lmdb.ts"
import { Spool } from "../../../../src/services/Spool.ts"
import { Choices } from "../../../simulation/Choices.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { type DecodedSnapshot, decode } from "../../../support/fixtures/DecodedSnapshot.ts"
import { databaseOptions, dump, merge, mergeRows, over, write } from "../../../support/fixtures/Environments.ts"
import { type Content, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { bytes, DUPSORT, integer, INTEGERKEY, shadowOptions } from "../../../support/fixtures/ShadowEnvironments.ts"
import { nativeValue, object } from "../../../support/fixtures/Snapshots.ts"

const dbis = ["d", "e"] as const

type Layers = ReturnType<typeof over>

/** As an object, with its result. */
const delta = (request: Pick<DeltaRequest, "fromNano" | "keptNano"> & Partial<DeltaRequest>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { open, read } = yield* Spool
      const place = yield* open
      const common = { place, format: "gzip", instanceID: "a", hostname: "h", newestKnown: 0n } as const
      const result = yield* (yield* Database).dumpDelta({
        ...common,
        entriesMax: Infinity,
        sizeMax: Infinity,
        ...request
      })
      if (result === undefined) return undefined
      return { result, object: Buffer.concat(yield* Stream.runCollect(read(result.spooled))) }
    })
  )

const decoded = (object: Uint8Array): DecodedSnapshot => decode(gunzipSync(object))

const contentOf = (object: Uint8Array): Content => mergeSnapshot(new Map(), decoded(object))

interface Stored {
  readonly timestampNano: bigint
  readonly content: Content
}

/** The application of one environment, its dumps, and an instance that follows them. */
class History {
  readonly choices: Choices
  readonly options: DatabaseOptions
  readonly flags: number
  /** Dumps that count as stored. */
  stored: Array<Stored> = []
  clock = 1_000
  deltas = 0
  /** Number of times that several deltas were merged together. */
  together = 0
  private readonly isNative: boolean

  constructor(seed: number) {
    this.choices = new Choices(seed)
    this.flags = this.choices.of([0, 0, DUPSORT, INTEGERKEY])
    this.isNative = this.choices.chance(0.5)
    if (this.isNative) this.flags = 0
    this.options = this.isNative
      ? databaseOptions({ deltas: true })
      : shadowOptions({ dupsortHack: true }, { deltas: true })
  }

  private key(): string {
    const number = this.choices.below(40)
    return this.flags === INTEGERKEY ? integer(number, 4) : `k${number}`
  }

  private value(): Buffer {
    const text = this.choices.of(["x", "y", "z".repeat(5_000)])
    if (!this.isNative) return bytes(this.flags === DUPSORT ? text.slice(0, 300) : text)
    return nativeValue(BigInt(this.clock) * 1_000_000n, this.choices.chance(0.2) ? null : text)
  }

  /** A transaction of the application. */
  readonly change = (transaction: WriteTransaction): void => {
    const dbi = this.choices.of(dbis)
    const name = DbiName.fromText(dbi)
    const isThere = () => transaction.dbis().some((other) => other.name === name)
    if (this.choices.chance(0.05) && isThere()) transaction.drop(name)
    else
      for (let steps = this.choices.below(4); steps > 0; steps--) {
        const key = this.key()
        if (!isThere()) transaction.create(name, this.flags)
        const value = this.value()
        if (this.choices.chance(0.3)) transaction.remove(name, bytes(key), 0, key.length)
        else transaction.put(name, bytes(key), 0, key.length, value, 0, value.length, false)
      }
    if (!isThere() && this.choices.chance(0.5)) transaction.create(name, this.flags)
  }

  /** Of another instance. */
  mergeTheirs() {
    const key = this.key()
    return this.flags === 0
      ? Effect.asVoid(merge(object({ d: [[key, this.clock * 1_000_000, "theirs"]] })))
      : Effect.void
  }
}

/** What merging the delta gives must be the state that it was dumped from. */
const checkDelta = (from: Stored, object: Uint8Array, now: Content) => {
  const { dbis } = decoded(object)
  const reached = mergeSnapshot(new Map(Array.from(from.content, ([name, dbi]) => [name, new Map(dbi)])), {
    dbis,
    formatVersion: 3
  })
  for (const [name, entries] of now) {
    const merged = reached.get(name)
    assert.isDefined(merged, `DBI ${name} is missing`)
    for (const [key, version] of entries) assert.deepStrictEqual(merged?.get(key), version, `${name}, key ${key}`)
  }
  for (const { entries, name } of dbis) {
    for (const { key } of entries) assert.isTrue(now.get(name)?.has(key), "only what is there")
  }
}

const send = Effect.fnUntraced(function* (history: History) {
  const { choices } = history
  const from = choices.of(history.stored)
  const kept = history.stored.filter((stored) => stored === from || choices.chance(0.7))
  history.stored = kept
  const keptNano = kept.map(({ timestampNano }) => timestampNano)
  const made = yield* delta({ fromNano: from.timestampNano, keptNano })
  if (made === undefined) return assert.fail("a delta was unknown that must be known")
  assert.strictEqual(made.result.fromNano, from.timestampNano)
  const { object: full } = yield* dump({ timestampNano: made.result.timestampNano })
  const content = contentOf(full)
  checkDelta(from, made.object, content)
  history.deltas++
  const { timestampNano } = made.result
  // One whose store has failed is never a start.
  if (choices.chance(0.7)) history.stored.push({ timestampNano, content })
  return made.object
})

const run = Effect.fnUntraced(function* (history: History, follower: Layers) {
  const { choices } = history
  yield* write(history.change)
  const scope = yield* Effect.scope
  const theirs = yield* Layer.buildWithScope(Layer.fresh(follower), scope)
  const first = yield* dump()
  yield* Effect.provideContext(merge(first.object), theirs)
  history.stored.push({ timestampNano: first.result.timestampNano, content: contentOf(first.object) })
  // The follower merges some of them by themselves, and others together.
  const waiting: Array<Uint8Array> = []
  const follow = Effect.suspend(() => Effect.provideContext(mergeRows(waiting.splice(0)), theirs))
  for (let step = 0; step < 40; step++) {
    history.clock += 1 + choices.below(3)
    yield* TestClock.setTime(history.clock)
    if (choices.chance(0.5)) yield* write(history.change)
    else if (choices.chance(0.3)) yield* history.mergeTheirs()
    else if (choices.chance(0.4)) yield* (yield* Database).changes
    else {
      waiting.push(yield* send(history))
      if (choices.chance(0.4)) history.together += (yield* follow).filter(({ length }) => length > 1).length
    }
  }
  waiting.push(yield* send(history))
  yield* follow
  const mine = contentOf((yield* dump({ timestampNano: 1n })).object)
  const followed = contentOf((yield* Effect.provideContext(dump(), theirs)).object)
  for (const [name, entries] of mine) {
    for (const [key, version] of entries) assert.deepStrictEqual(followed.get(name)?.get(key), version)
  }
  assert.isAbove(history.deltas, 3)
  return shown(mine)
}, Effect.scoped)

const overMemory = (options: DatabaseOptions): Layers => over(LmdbMemory.layerWith(), options, CompressionSync.layer)

const overFile = (history: History, file: string) =>
  over(LmdbNative.layerWith(optionsOf(file)), history.options, CompressionSync.layer)

const inMemory = (seed: number) => {
  const history = new History(seed)
  return Effect.provide(run(history, overMemory(history.options)), overMemory(history.options), { local: true }).pipe(
    Effect.as(history)
  )
}

describe("Delta snapshots, over random histories", () => {
  for (let seed = 0; seed < 24; seed++) it.effect(`in memory, seed ${seed}`, () => inMemory(seed))

  it.effect("in memory, several of which are merged together", () =>
    Effect.gen(function* () {
      let together = 0
      for (let seed = 0; seed < 4; seed++)
        together += (yield* Effect.provide(inMemory(seed), TestClock.layer(), { local: true })).together
      assert.isAbove(together, 3)
    })
  )

  for (let seed = 100; seed < 106; seed++) {
    it.effect(`over a file, seed ${seed}`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const history = new History(seed)
          const file = `${yield* directory}/lmdb`
          yield* Effect.provide(run(history, overMemory(history.options)), overFile(history, file))
        })
      )
    )
  }

  for (const mode of ["native", "shadow"] as const) {
    const options = mode === "native" ? databaseOptions({ deltas: true }) : shadowOptions({}, { deltas: true })
    const value = (text: string) => (mode === "native" ? nativeValue(1n, text) : bytes(text))
    const put = (dbi: string, entries: ReadonlyArray<readonly [key: string, text: string]>) =>
      write((transaction) => {
        const name = DbiName.fromText(dbi)
        if (!transaction.dbis().some((other) => other.name === name)) transaction.create(name, 0)
        for (const [key, text] of entries) {
          const bytes = value(text)
          transaction.put(name, Buffer.from(key), 0, key.length, bytes, 0, bytes.length, false)
        }
      })

    it.effect(`one change among many costs itself, in ${mode} mode`, () =>
      Effect.provide(
        Effect.gen(function* () {
          yield* put(
            "d",
            Array.from({ length: 3_000 }, (_, i) => [`k${i}`, "v"] as const)
          )
          const { result } = yield* dump()
          const from = { fromNano: result.timestampNano, keptNano: [result.timestampNano] }
          yield* put("d", [["k7", "changed"]])
          yield* put("new", [])
          const one = yield* delta(from)
          assert.isBelow(one!.object.length, 400)
          const { dbis, meta } = decoded(one!.object)
          assert.deepStrictEqual(
            dbis.map(({ entries, name }) => [name, entries.length]),
            [
              ["d", 1],
              ["new", 0]
            ]
          )
          assert.isAbove(Number(meta.fromLmdbTxnID), 0)
          assert.isAbove(Number(meta.lmdbTxnID), Number(meta.fromLmdbTxnID))
          assert.strictEqual(meta.timestampNano, one!.result.timestampNano)
          // Of a dump that nobody has stored nothing is known.
          assert.isUndefined(yield* delta({ fromNano: one!.result.timestampNano, keptNano: [] }))
          assert.isUndefined(yield* delta(from), "its bookmark was given up")
        }),
        overMemory(options)
      )
    )

    it.effect(`a delta that is too large is not made, in ${mode} mode`, () =>
      Effect.provide(
        Effect.gen(function* () {
          yield* put("d", [["k", "v"]])
          const { result } = yield* dump()
          const from = { fromNano: result.timestampNano, keptNano: [result.timestampNano] }
          yield* put("d", [
            ["k", "w"],
            ["l", "w"]
          ])
          assert.isUndefined(yield* delta({ ...from, entriesMax: 1 }))
          assert.isUndefined(yield* delta({ ...from, sizeMax: 1 }))
          const made = yield* delta({ ...from, entriesMax: 2 })
          assert.strictEqual(made?.result.entries, 2)
          // The copies before those that were not made have held the lock.
          if (mode === "shadow") assert.isAbove(made!.result.lockHeldMillis, 0)
        }),
        overMemory(options)
      )
    )
  }
})
