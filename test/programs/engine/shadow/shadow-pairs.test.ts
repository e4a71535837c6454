/**
 * Pairs of MDB_DUPSORT DBIs in snapshots, and in shadows that fill a DBI: what a shadow cannot represent is refused
 * before anything is written, so the next copy main → shadow finds what the merge has left.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { DatabaseError } from "../../../../src/services/Database.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { lastId, merge, over, raw, write } from "../../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../../support/fixtures/GoldenEnvironments.ts"
import { type Hooks, hooked } from "../../../support/fakes/HookedLmdb.ts"
import {
  bytes,
  copyAt,
  drop,
  DUPFIXED,
  DUPSORT,
  type Entry,
  main,
  pairKey,
  put,
  remove,
  shadowOptions,
  theirs
} from "../../../support/fixtures/ShadowEnvironments.ts"
import { objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

const memory = Effect.sync(() => ({ layer: LmdbMemory.makeMemoryEnvironment().layer, path: "/memory/data.mdb" }))

const native = Effect.map(temporaryFolder, (directory) => {
  const path = `${directory}/data.mdb`
  return { layer: LmdbNative.layerWith({ ...shadowOptions().lmdb, path }), path }
})

const running = ({ layer, path }: Effect.Success<typeof native>, hooks: Hooks = {}) => {
  const { lmdb, ...rest } = shadowOptions({ dupsortHack: true })
  const options = { ...rest, lmdb: { ...lmdb, path } }
  return over(hooked(layer, hooks), options, CompressionSync.layer)
}

const entry = (key: string, value: string | null) => objectOf(ofDbis([theirs("d", [[key, 9, value]], DUPSORT)]))

type Pair = readonly [key: string, value: string]

const inOrder = (a: string, b: string) => Buffer.compare(bytes(a), bytes(b))

const pairsOf = (pairs: ReadonlyArray<Pair>, flags = DUPSORT) =>
  objectOf(
    ofDbis([
      theirs(
        "d",
        pairs.map(([key, value]): Entry => [pairKey(key, value), 9, value]).toSorted(([a], [b]) => inOrder(a, b)),
        flags
      )
    ])
  )

/** Refused, with the reason; nothing was written. */
const refuses = Effect.fnUntraced(function* (snapshot: Uint8Array, reason: RegExp) {
  const before = yield* raw
  const id = yield* lastId
  const error = yield* Effect.flip(merge(snapshot))
  if (!(error instanceof DatabaseError)) throw error
  assert.match(`${error.reaction}: ${error.message}`, reason)
  assert.deepStrictEqual([yield* lastId, yield* raw], [id, before])
})

for (const { kind, make } of [
  { kind: "memory", make: memory },
  { kind: "native", make: native }
] as const) {
  describe(`Pairs of MDB_DUPSORT DBIs (${kind})`, () => {
    it.effect("a snapshot's key that is not the one of its value is refused", () =>
      Effect.gen(function* () {
        const refusal = /quarantine: refused: .*key 0x6b0000000061.*01 is not the one that dupsort_hack_v1 makes of its/
        const long = "v".repeat(505)
        yield* Effect.gen(function* () {
          yield* write(put("d", { k: "b" }, DUPSORT))
          yield* copyAt(5)
          yield* refuses(entry(pairKey("k", "a"), "c"), refusal)
          yield* refuses(entry(pairKey("k", "aa"), "a"), refusal)
          yield* refuses(entry(pairKey("k", "a"), "aa"), refusal)
          yield* refuses(entry(pairKey("k", "a"), ""), refusal)
          yield* refuses(entry(`${pairKey("k", long).slice(0, -2)}\x01`, long), /is not the one/)
          yield* merge(entry(pairKey("k", "gone"), null))
          yield* merge(entry(pairKey("k", long), `${long}more`))
          yield* copyAt(6)
          assert.deepStrictEqual(yield* main("d"), ["k=b", `k=${long}more`])
        }).pipe(Effect.provide(running(yield* make)))
      })
    )

    it.effect("pairs that would have another order in the shadow than in the DBI are refused", () =>
      Effect.gen(function* () {
        const order = /quarantine: refused: .*dupsort_hack cannot represent them/
        const here: ReadonlyArray<Pair> = [
          ["a", "x"],
          ["b", "b\0"],
          ["c\0", "x"],
          ["d", ""]
        ]
        const cases: ReadonlyArray<readonly [ReadonlyArray<Pair>, RegExp]> = [
          [[["a", "x\0"]], order],
          [[["a\0", "x"]], order],
          [[["b", "b"]], order],
          [[["c", "y"]], order],
          [
            [
              ["z", "z"],
              ["z", "z\0"]
            ],
            order
          ],
          [[["d", "e"]], /quarantine: refused: .*an empty one beside others/],
          [[["a", "x".repeat(512)]], /quarantine: refused: .*has 512 bytes/]
        ]
        yield* Effect.gen(function* () {
          yield* write(put("d", here, DUPSORT))
          yield* copyAt(5)
          for (const [pairs, reason] of cases) yield* refuses(pairsOf(pairs), reason)
          const twice = [theirs("d", [], DUPSORT), theirs("d", [], DUPSORT)]
          yield* refuses(objectOf(ofDbis(twice)), /quarantine: refused: .*comes twice/)
          const other = [theirs("new", [["k", 9, "v"]]), theirs("new", [[pairKey("k", "v"), 9, "v"]], DUPSORT)]
          yield* refuses(objectOf(ofDbis(other)), /quarantine: refused: .*comes twice, with different flags/)
          yield* merge(pairsOf([["a", "y\0"]]))
          yield* copyAt(6)
          assert.lengthOf((yield* main("d"))!, 5)
        }).pipe(Effect.provide(running(yield* make)))
      })
    )

    it.effect("one that is dropped is not filled from a shadow of another kind: the snapshot is refused", () =>
      Effect.gen(function* () {
        const fixed = DUPSORT | DUPFIXED
        const cases: ReadonlyArray<readonly [ReadonlyArray<Pair>, number, Uint8Array, string]> = [
          [[["plain", "1"]], 0, pairsOf([["k", "1"]]), "with MDB_DUPSORT, but its shadow here is of a DBI without it"],
          [
            [["k", "1"]],
            DUPSORT,
            objectOf(ofDbis([theirs("d", [["plain", 9, "1"]])])),
            "without MDB_DUPSORT, but its shadow here is of a DBI with it"
          ],
          [
            [
              ["k", "1"],
              ["l", "22"]
            ],
            DUPSORT,
            pairsOf([["m", "1"]], fixed),
            "with MDB_DUPFIXED, but its shadow here is of a DBI with values of different sizes"
          ]
        ]
        const deleted: (typeof cases)[number] = [[], 0, cases[0]![2], cases[0]![3]]
        for (const [pairs, flags, snapshot, reason] of [...cases, deleted]) {
          yield* Effect.gen(function* () {
            yield* write(put("d", { gone: "1" }, flags & ~DUPFIXED))
            yield* copyAt(4)
            yield* write(remove("d", "gone"))
            yield* write(put("d", pairs))
            yield* copyAt(5)
            yield* write(drop("d"))
            yield* refuses(snapshot, new RegExp(`quarantine: refused: .*${reason}: run drop-shadow`))
            yield* copyAt(6)
          }).pipe(Effect.provide(running(yield* make), { local: true }))
        }
      })
    )
  })
}

const Part = Schema.Array(Schema.Literals(["\0", "\x01", "\x02", "a"])).check(Schema.isMaxLength(3))

const Line = Schema.Struct({
  key: Schema.Array(Schema.Literals(["\0", "a"])).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  value: Part,
  deleted: Schema.Boolean
})

const Lines = Schema.Array(Line).check(Schema.isMaxLength(8))

/** Whether the pairs, by shadow key, can be in a shadow; written as plainly as docs/sync.md says it. */
const isRepresentable = (live: ReadonlyMap<string, Pair>): boolean => {
  const pairs = Array.from(live.keys())
    .toSorted(inOrder)
    .map((key) => live.get(key)!)
  const inMain = pairs.toSorted(([a, x], [b, y]) => inOrder(a, b) || inOrder(x, y))
  const isAlone = ([key, value]: Pair) => value !== "" || pairs.filter(([other]) => other === key).length === 1
  return pairs.every((pair, i) => pair === inMain[i]) && pairs.every(isAlone)
}

/** Adds pairs one after the other, as far as they can be in an application's DBI that is synced. */
const localOf = (lines: typeof Lines.Type): ReadonlyMap<string, Pair> => {
  const live = new Map<string, Pair>()
  for (const { key: parts, value: more } of lines) {
    const [key, value] = [parts.join(""), more.join("")]
    live.set(pairKey(key, value), [key, value])
    if (!isRepresentable(live)) live.delete(pairKey(key, value))
  }
  return live
}

/** As `merge` does it, on paper. */
const mergedOf = (local: ReadonlyMap<string, Pair>, remote: typeof Lines.Type) => {
  const live = new Map(local)
  const entries = new Map<string, Entry>()
  for (const { deleted, key: parts, value: more } of remote) {
    const [key, value] = [parts.join(""), more.join("")]
    const shadowKey = pairKey(key, value)
    entries.set(shadowKey, [shadowKey, 9, deleted ? null : value])
    if (deleted) live.delete(shadowKey)
    else live.set(shadowKey, [key, value])
  }
  return { live, entries: Array.from(entries.values()).toSorted(([a], [b]) => inOrder(a, b)) }
}

const show = (text: string) => (/^[ -~]*$/.test(text) ? text : `0x${bytes(text).toString("hex")}`)

/** As `main` shows them. */
const shownOf = (live: ReadonlyMap<string, Pair>): ReadonlyArray<string> => {
  return Array.from(live.values())
    .toSorted(([a, x], [b, y]) => inOrder(a, b) || inOrder(x, y))
    .map(([key, value]) => `${show(key)}=${show(value)}`)
}

describe("Pairs of MDB_DUPSORT DBIs, over arbitrary ones", () => {
  for (const { how, times } of [
    { how: "in the read phase", times: 0 },
    { how: "inside the write transaction, when the application commits too often", times: 9 }
  ]) {
    it.effect.prop(
      `a snapshot is refused exactly if the shadow cannot represent what it would lead to: ${how}`,
      { here: Lines, remote: Lines },
      ({ here, remote }) =>
        Effect.gen(function* () {
          const { application, layer } = LmdbMemory.makeMemoryEnvironment()
          const local = localOf(here)
          const { entries, live } = mergedOf(local, remote)
          let commits = -1
          const beforeWrite = Effect.suspend(() =>
            commits < 0 || commits++ >= times ? Effect.void : application.write(put("other", [["k", String(commits)]]))
          ).pipe(Effect.orDie)
          yield* Effect.gen(function* () {
            yield* write(put("d", Array.from(local.values()), DUPSORT))
            yield* copyAt(5)
            commits = 0
            const result = yield* Effect.result(merge(objectOf(ofDbis([theirs("d", entries, DUPSORT)]))))
            commits = -1
            assert.strictEqual(result._tag === "Success", isRepresentable(live), JSON.stringify([here, remote]))
            assert.deepStrictEqual(yield* main("d"), shownOf(result._tag === "Success" ? live : local))
            // The next copy has nothing to find.
            yield* write(put("other", { k: "last" }))
            yield* copyAt(20)
            assert.deepStrictEqual(yield* main("d"), shownOf(result._tag === "Success" ? live : local))
          }).pipe(
            Effect.provide(running({ layer, path: "/memory/data.mdb" }, { beforeWrite: () => beforeWrite }), {
              local: true
            })
          )
        }),
      { arbitrary: { runs: 150 } }
    )
  }
})
