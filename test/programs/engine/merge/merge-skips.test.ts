/**
 * Members that are known to bring nothing are skipped: and the LMDB is, after whatever happened, what it would be if
 * they had been read.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, type Layer, Schema } from "effect"
import * as zlib from "node:zlib"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as GzipMember from "../../../../src/domain/snapshot/GzipMember.ts"
import { dbiHead, EntryEncoder, snapshotHead } from "../../../../src/domain/snapshot/SnapshotWriter.ts"
import * as SnapshotMeta from "../../../../src/domain/snapshot/SnapshotMeta.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { contentOf, shown } from "../../../support/fixtures/LastWriteWins.ts"
import {
  databaseOptions,
  dump,
  lastId,
  merge,
  over,
  putRaw,
  raw,
  spool
} from "../../../support/fixtures/Environments.ts"
import { hooked } from "../../../support/fakes/HookedLmdb.ts"
import { type Line, nativeValue, rawDbis } from "../../../support/fixtures/Snapshots.ts"

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

interface Part {
  readonly name: string
  readonly flags: number
  /** Each list is a member. */
  readonly members: ReadonlyArray<ReadonlyArray<Line>>
}

const encoded = (lines: ReadonlyArray<Line>) => {
  const encoder = new EntryEncoder(new Uint8Array(16))
  for (const [key, timestamp, value] of lines) {
    const time = BigInt(timestamp)
    const content = bytes(value ?? "")
    encoder.add(
      bytes(key),
      0,
      key.length,
      content,
      0,
      content.length,
      Number(time >> 32n),
      Number(time & 0xffffffffn),
      value === null ? 1 : 0
    )
  }
  return encoder.bytes.slice(0, encoder.length)
}

const headOf = (name: string, length: number) => dbiHead(DbiName.fromText(name), 0, "", length)

const gz = (member: Uint8Array) => GzipMember.withLength(new Uint8Array(zlib.gzipSync(member, { level: 1 })))

const zlibOf = (member: Uint8Array) => [zlib.gzipSync(member, { level: 1 })]

/** A snapshot in members that say their length, cut as the test wants. */
const cutObject = (parts: ReadonlyArray<Part>, formatVersion = 3) => {
  const members: Array<Uint8Array<ArrayBuffer>> = [
    snapshotHead({ formatVersion, compatVersion: 1 }, { ...SnapshotMeta.empty, instanceID: "cut" })
  ]
  for (const part of parts) {
    const entries = part.members.map(encoded)
    members.push(
      dbiHead(
        DbiName.fromText(part.name),
        part.flags,
        "",
        entries.reduce((sum, { length }) => sum + length, 0)
      ),
      ...entries
    )
  }
  return Buffer.concat(members.flatMap(gz))
}

const mergeWith = (object: Uint8Array, cutOffNano: bigint) =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* Database
      const snapshots = [{ spooled: yield* spool(object), format: "gzip" }] as const
      const [result] = yield* database.merge({ snapshots, cutOffNano })
      return result
    })
  )

const a = (...members: ReadonlyArray<ReadonlyArray<Line>>): Part => ({ name: "a", flags: 0, members })

const running = <A, E>(
  use: Effect.Effect<A, E, Layer.Success<ReturnType<typeof over>>>,
  environment = LmdbMemory.makeMemoryEnvironment(),
  options = databaseOptions()
) => Effect.provide(use, over(environment.layer, options, CompressionSync.layer), { local: true })

const two: Part = a(
  [
    ["k1", 5, "one"],
    ["k2", 5, "two"]
  ],
  [
    ["k3", 5, "three"],
    ["k4", 5, null]
  ]
)

describe("Merge, of members that it knows", () => {
  it.live("skips what it has merged before, and reads the one that has changed", () =>
    running(
      Effect.gen(function* () {
        assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 0, entriesWritten: 4 })
        assert.deepInclude(
          { ...(yield* merge(cutObject([two]))) },
          { entriesRead: 4, entriesSkipped: 4, entriesWritten: 0 }
        )
        const changed = cutObject([
          a(two.members[0]!, [
            ["k3", 6, "newer"],
            ["k4", 5, null]
          ])
        ])
        assert.deepInclude({ ...(yield* merge(changed)) }, { entriesRead: 4, entriesSkipped: 2, entriesWritten: 1 })
        // What it has just put is known, too, and the older one brings nothing any more.
        assert.deepInclude({ ...(yield* merge(changed)) }, { entriesSkipped: 4, entriesWritten: 0 })
        assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 4, entriesWritten: 0 })
      })
    )
  )

  it.live("skips what it has dumped", () => {
    const environment = LmdbMemory.makeMemoryEnvironment()
    return running(
      Effect.gen(function* () {
        yield* environment.application.write(
          putRaw(
            rawDbis({
              a: [
                ["k1", 5, "one"],
                ["k2", 5, null]
              ]
            })
          )
        )
        const { object } = yield* dump()
        assert.deepInclude({ ...(yield* merge(object)) }, { entriesRead: 2, entriesSkipped: 2, entriesWritten: 0 })
      }),
      environment
    )
  })

  it.live("reads all again when the application has written, which may be older", () => {
    const environment = LmdbMemory.makeMemoryEnvironment()
    return running(
      Effect.gen(function* () {
        yield* merge(cutObject([two]))
        yield* environment.application.write(putRaw(rawDbis({ a: [["k1", 4, "a clock that is behind"]] })))
        assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 0, entriesWritten: 1 })
      }),
      environment
    )
  })

  it.live("reads all again when a sweep has removed tombstones", () =>
    running(
      Effect.gen(function* () {
        yield* merge(cutObject([two]))
        yield* Effect.flatMap(Database, ({ sweep }) => sweep({ olderThanNano: 10n, lockMillis: 0, releaseMillis: 0 }))
        assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 0, entriesWritten: 1 })
      })
    )
  )

  it.live(
    "reads a member again of which the cut-off has left a tombstone out, since that wins over an older entry that may come yet",
    () =>
      running(
        Effect.gen(function* () {
          assert.strictEqual((yield* mergeWith(cutObject([two]), 10n)).entriesWritten, 3)
          assert.deepInclude({ ...(yield* mergeWith(cutObject([two]), 10n)) }, { entriesSkipped: 2, entriesWritten: 0 })
          assert.strictEqual((yield* mergeWith(cutObject([a([["k4", 4, "older"]])]), 10n)).entriesWritten, 1)
          assert.deepInclude({ ...(yield* mergeWith(cutObject([two]), 10n)) }, { entriesSkipped: 2, entriesWritten: 1 })
          assert.deepInclude({ ...(yield* mergeWith(cutObject([two]), 10n)) }, { entriesSkipped: 4, entriesWritten: 0 })
        })
      )
  )

  for (const [what, beforeWrite] of [
    ["between its read and its write", 0],
    ["between two of its parts", 1]
  ] as const) {
    it.live(`reads all again when the application has written ${what}`, () => {
      const environment = LmdbMemory.makeMemoryEnvironment()
      const options = databaseOptions({ mergeLockMillis: beforeWrite === 0 ? 0 : 1 })
      const older = environment.application.write(putRaw(rawDbis({ a: [["k1", 4, "a clock that is behind"]] })))
      let writes = 0
      const lmdb = hooked(environment.layer, {
        beforeWrite: () => (writes++ === 1 + beforeWrite ? older : Effect.void)
      })
      return Effect.provide(
        Effect.gen(function* () {
          yield* merge(cutObject([two]))
          // So long that a part does not hold it all.
          const more = Array.from({ length: beforeWrite === 0 ? 1 : 40_000 }, (_, i): Line => [
            `l${100_000 + i}`,
            5,
            "x"
          ])
          const { transactions } = yield* merge(cutObject([a(...two.members, more)]))
          assert.isAbove(transactions, beforeWrite)
          assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 0, entriesWritten: 1 })
        }),
        over(lmdb, options, CompressionSync.layer),
        { local: true }
      )
    })
  }

  it.live("after a dump knows only what is in it, whatever was merged before", () => {
    const environment = LmdbMemory.makeMemoryEnvironment()
    return running(
      Effect.gen(function* () {
        yield* merge(cutObject([two]))
        yield* environment.application.write(putRaw(rawDbis({ a: [["k1", 4, "a clock that is behind"]] })))
        const { object } = yield* dump()
        assert.deepInclude({ ...(yield* merge(object)) }, { entriesSkipped: 4, entriesWritten: 0 })
        assert.deepInclude({ ...(yield* merge(cutObject([two]))) }, { entriesSkipped: 0, entriesWritten: 1 })
      }),
      environment
    )
  })

  it.live("knows no member that says something of its DBI, belongs to two, or ends within an entry", () =>
    running(
      Effect.gen(function* () {
        const [low, high] = two.members.map(encoded) as [Uint8Array, Uint8Array]
        const head = snapshotHead({ formatVersion: 3, compatVersion: 1 }, SnapshotMeta.empty)
        const flags = Uint8Array.of(0x18, 0)
        const both = [...headOf("a", low.length), ...low, ...headOf("b", high.length), ...high]
        for (const [members, entries] of [
          [[headOf("a", low.length + 2 + high.length), Uint8Array.of(...low, ...flags), high], 2],
          [[Uint8Array.from(both)], 0],
          [[headOf("a", low.length), Uint8Array.of(...low, ...headOf("b", high.length)), high], 2],
          [[headOf("a", low.length + high.length), low.subarray(0, 25), low.subarray(25), high], 2]
        ] as const) {
          const object = Buffer.concat([head, ...members].flatMap(gz))
          yield* running(
            Effect.gen(function* () {
              for (const entriesSkipped of [0, entries, entries])
                assert.deepInclude({ ...(yield* merge(object)) }, { entriesRead: 4, entriesSkipped })
            })
          )
        }
      })
    )
  )

  it.live("does not know a member that goes on behind its DBI: within a larger one the same bytes are an entry", () =>
    running(
      Effect.gen(function* () {
        const low = encoded(two.members[0]!)
        const key = Buffer.from("zz")
        // Field 2: of a snapshot, its meta with a generation; of a DBI, an entry with a key.
        const member = Uint8Array.of(...low, 0x12, key.length + 2, 0x0a, key.length, ...key)
        const head = snapshotHead({ formatVersion: 3, compatVersion: 1 }, SnapshotMeta.empty)
        const objects = [low.length, member.length].map((length) =>
          Buffer.concat([head, headOf("a", length), member].flatMap(gz))
        )
        for (const [index, object] of objects.entries())
          assert.deepInclude({ ...(yield* merge(object)) }, { entriesRead: 2 + index, entriesSkipped: 0 })
        assert.strictEqual(shown(contentOf(yield* raw))["a"]!.at(-1), `${key.toString("hex")} 0 ""`)
      })
    )
  )

  it.live("skips nothing that stands in another DBI, or in a snapshot of another format", () =>
    running(
      Effect.gen(function* () {
        yield* merge(cutObject([two]))
        assert.deepInclude(
          { ...(yield* merge(cutObject([{ ...two, name: "b" }]))) },
          { entriesSkipped: 0, entriesWritten: 4 }
        )
        assert.deepInclude({ ...(yield* merge(cutObject([two], 2))) }, { entriesSkipped: 0 })
      })
    )
  )

  it.live("a snapshot whose keys do not rise is corrupt, known members before and behind or not", () =>
    running(
      Effect.gen(function* () {
        const [low, high] = two.members as [ReadonlyArray<Line>, ReadonlyArray<Line>]
        const fresh: ReadonlyArray<Line> = [["k2x", 9, "x"]]
        yield* merge(cutObject([a(low, fresh, high)]))
        for (const members of [
          [high, low],
          [low, low],
          [high, [["k2", 9, "again"]]],
          [
            [
              ["k1", 1, "x"],
              ["k9", 1, "y"]
            ],
            low
          ],
          [low, [["k2", 5, "two"]]]
        ]) {
          const error = yield* Effect.flip(merge(cutObject([a(...(members as ReadonlyArray<ReadonlyArray<Line>>))])))
          assert.match(error.message, /corrupt.*does not come after/)
        }
        assert.deepInclude({ ...(yield* merge(cutObject([a(low, high)]))) }, { entriesSkipped: 4, entriesWritten: 0 })
      })
    )
  )

  it.live("a known member that does not fit into what its DBI says is corrupt", () =>
    running(
      Effect.gen(function* () {
        yield* merge(cutObject([two]))
        const [low, high] = two.members.map(encoded) as [Uint8Array, Uint8Array]
        const head = snapshotHead({ formatVersion: 3, compatVersion: 1 }, SnapshotMeta.empty)
        for (const length of [low.length - 1, low.length + high.length - 1, low.length + high.length + 1]) {
          const object = Buffer.concat([head, dbiHead(DbiName.fromText("a"), 0, "", length), low, high].flatMap(gz))
          const error = yield* Effect.flip(merge(object))
          assert.match(error.message, /corrupt/)
          // As if nothing were known.
          assert.strictEqual(error.message, (yield* running(Effect.flip(merge(object)))).message)
        }
      })
    )
  )

  it.live("a snapshot that is cut off behind a known member is corrupt", () =>
    running(
      Effect.gen(function* () {
        const whole = cutObject([two])
        yield* merge(whole)
        // Its first member alone is a snapshot without DBIs.
        const head = GzipMember.lengthOf(whole)!
        for (let length = 1; length < whole.length; length++)
          if (length !== head) assert.match((yield* Effect.flip(merge(whole.subarray(0, length)))).message, /corrupt/)
      })
    )
  )
})

describe("Merge, of members that say their length, and others", () => {
  const large: ReadonlyArray<Line> = Array.from({ length: 50 }, (_, i): Line => [
    `k3-${10 + i}`,
    1,
    Buffer.alloc(100_000, `${i} `).toString()
  ])
  const messages = [
    two.members[0]!,
    large,
    [
      ["l", 5, "x"],
      ["m", 5, null]
    ] as const
  ].map(encoded)
  const start = [
    snapshotHead({ formatVersion: 3, compatVersion: 1 }, SnapshotMeta.empty),
    dbiHead(
      DbiName.fromText("a"),
      0,
      "",
      messages.reduce((sum, { length }) => sum + length, 0)
    )
  ]
  const all = [...start, ...messages]

  for (const [what, pack] of [
    ["all with", () => gz],
    ["first with, then without", (i: number) => (i < 3 ? gz : zlibOf)],
    ["first without, then with", (i: number) => (i < 3 ? zlibOf : gz)],
    ["all without", () => zlibOf]
  ] as const) {
    for (const padding of [0, 5_000]) {
      it.live(`${what}, one too large to be held whole, ${padding} zero bytes after the last`, () =>
        Effect.provide(
          Effect.gen(function* () {
            const object = Buffer.concat([
              ...all.flatMap((member, i): ReadonlyArray<Uint8Array> => pack(i)(member)),
              Buffer.alloc(padding)
            ])
            const length = all.reduce((sum, member) => sum + member.length, 0)
            assert.deepInclude(
              { ...(yield* merge(object)) },
              { entriesRead: 54, entriesWritten: 54, uncompressedSize: length }
            )
            const again = yield* merge(object)
            assert.deepInclude({ ...again }, { entriesRead: 54, entriesWritten: 0, uncompressedSize: length })
            // Large ones are not known.
            assert.strictEqual(
              again.entriesSkipped,
              what === "all with" ? 4 : what === "first with, then without" ? 2 : 0
            )
            const error = yield* Effect.flip(merge(Buffer.concat([object, Buffer.from([0, 7])])))
            assert.include(error.message, `corrupt near byte ${object.length + 1}: something follows the last member`)
            const cut = object.length - padding - 3
            assert.include((yield* Effect.flip(merge(object.subarray(0, cut)))).message, `corrupt near byte ${cut}: `)
          }),
          over(LmdbMemory.layerWith()),
          { local: true }
        )
      )
    }
  }
})

const oneOf = <const L extends ReadonlyArray<string | number>>(values: L) => Arbitrary.schema(Schema.Literals(values))
const below = (limit: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))

const keys = ["k1", "k2", "k3", "k4", "k5", "k6"]
const line: Arbitrary.Arbitrary<Line> = Arbitrary.map(
  Arbitrary.all([oneOf(keys), below(4), oneOf(["", "x", "y", "deleted"])]),
  ([key, timestamp, value]) => [key, timestamp, value === "deleted" ? null : value] as const
)
const rising = (lines: ReadonlyArray<Line>): ReadonlyArray<Line> =>
  Array.from(new Map(lines.map((each) => [each[0], each])).values()).sort(([a], [b]) => (a < b ? -1 : 1))
const member = Arbitrary.map(Arbitrary.array(line, { minLength: 1, maxLength: 3 }), rising)

/** A few members for each third of the keys, so that snapshots share some. */
const pool = Arbitrary.array(member, { minLength: 4, maxLength: 8 })
const partOf = (members: ReadonlyArray<ReadonlyArray<Line>>, picks: ReadonlyArray<number>, name: string): Part => {
  const chosen: Array<ReadonlyArray<Line>> = []
  let last = ""
  for (const pick of picks) {
    const each = members[pick % members.length]!
    if (each[0]![0] <= last) continue
    chosen.push(each)
    last = each.at(-1)![0]
  }
  return { name, flags: 0, members: chosen }
}

const step = Arbitrary.all([
  oneOf(["merge", "merge", "merge", "merge", "put", "remove", "drop", "dump", "sweep"]),
  Arbitrary.array(below(8), { maxLength: 5 }),
  oneOf(["a", "b"]),
  line,
  below(4)
])
const histories = Arbitrary.all([pool, Arbitrary.array(step, { maxLength: 14 }), oneOf([0, 1])])

describe("Merge, with and without what it knows", () => {
  it.live.prop(
    "makes the same of any history of writes, merges, dumps and sweeps",
    [histories],
    ([[members, steps, mergeLockMillis]]) =>
      Effect.gen(function* () {
        const options = databaseOptions({ mergeLockMillis })
        const knowing = LmdbMemory.makeMemoryEnvironment()
        const forgetful = LmdbMemory.makeMemoryEnvironment()
        // How many transactions a merge in parts takes is a matter of time.
        const state =
          mergeLockMillis === 0 ? Effect.all([lastId, raw]) : Effect.map(raw, (dbis) => shown(contentOf(dbis)))
        yield* running(
          Effect.gen(function* () {
            for (const [what, picks, name, [key, timestamp, value], cutOff] of steps) {
              const act = Effect.gen(function* () {
                switch (what) {
                  case "merge":
                    return (yield* mergeWith(
                      cutObject(
                        [partOf(members, picks, "a"), partOf(members, picks.toReversed(), name)].slice(
                          0,
                          name === "a" ? 1 : 2
                        )
                      ),
                      BigInt(cutOff)
                    )).entriesWritten
                  case "dump":
                    return void (yield* dump())
                  case "sweep":
                    return (yield* Effect.flatMap(Database, ({ sweep }) =>
                      sweep({ olderThanNano: BigInt(cutOff), lockMillis: 0, releaseMillis: 0 })
                    )).cleanedEntries
                  default:
                    return undefined
                }
              })
              const outside = (environment: typeof knowing) =>
                environment.application.write((transaction) => {
                  const dbi = DbiName.fromText(name)
                  const there = transaction.dbis().some((each) => each.name === dbi)
                  if (what === "drop" && there) transaction.drop(dbi)
                  if (what === "remove" && there) transaction.remove(dbi, bytes(key), 0, key.length)
                  if (what !== "put") return
                  const content = new Uint8Array(nativeValue(timestamp, value))
                  if (!there) transaction.create(dbi, 0)
                  transaction.put(dbi, bytes(key), 0, key.length, content, 0, content.length, false)
                })
              yield* outside(knowing)
              yield* outside(forgetful)
              const here = [yield* act, yield* state]
              // Nothing is known to a database that was only just opened.
              const there = yield* running(
                Effect.gen(function* () {
                  return [yield* act, yield* state]
                }),
                forgetful,
                options
              )
              assert.deepStrictEqual(here, there)
            }
          }),
          knowing,
          options
        )
      }),
    { arbitrary: { runs: 500 } }
  )
})
