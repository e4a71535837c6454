/**
 * Shadow mode and the kinds of DBIs: which are synced and how, which are refused by name, and how one comes that is not
 * there.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { type Database, DatabaseError } from "../../../../src/services/Database.ts"
import type { Lmdb, WriteTransaction } from "../../../../src/services/Lmdb.ts"
import type { Spool } from "../../../../src/services/Spool.ts"
import { type DecodedDbi, decode } from "../../../support/fixtures/DecodedSnapshot.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { dump, lastId, merge, over, raw, write } from "../../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../../support/fixtures/GoldenEnvironments.ts"
import {
  copyAt,
  drop,
  DUPFIXED,
  DUPSORT,
  integer,
  INTEGERKEY,
  main,
  pairKey,
  put,
  remove,
  removePair,
  shadow,
  shadowFlagsOf,
  shadowOptions,
  theirs
} from "../../../support/fixtures/ShadowEnvironments.ts"
import { objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

type Shadow = Parameters<typeof shadowOptions>[0]

/** An empty environment: `before` writes into it while no daemon runs, `running` is a daemon's life. */
const memory = Effect.sync(() => {
  const { layer } = LmdbMemory.makeMemoryEnvironment()
  return { layer, path: "/memory/data.mdb" }
})

const native = Effect.map(temporaryFolder, (directory) => {
  const path = `${directory}/data.mdb`
  return { layer: LmdbNative.layerWith({ ...shadowOptions().lmdb, path }), path }
})

const kinds = [
  { kind: "memory", make: memory },
  { kind: "native", make: native }
] as const

const makeWorld = Effect.fnUntraced(function* (make: (typeof kinds)[number]["make"]) {
  const { layer, path } = yield* make
  const options = (shadow: Shadow) => {
    const { lmdb, ...rest } = shadowOptions(shadow)
    return { ...rest, lmdb: { ...lmdb, path } }
  }
  return {
    before: (...commits: ReadonlyArray<(transaction: WriteTransaction) => void>) =>
      Effect.provide(
        write((transaction) => commits.forEach((commit) => commit(transaction))),
        layer,
        { local: true }
      ),
    running:
      (shadow: Shadow = {}) =>
      <A, E>(effect: Effect.Effect<A, E, Database | Lmdb | Spool>) =>
        Effect.provide(effect, over(layer, options(shadow), CompressionSync.layer), { local: true })
  }
})

const mergeDbis = (...dbis: ReadonlyArray<DecodedDbi>) => merge(objectOf(ofDbis(dbis)))

/** Of an operation that fails, what people read; with what the daemon does about it. */
const refusalOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (!(error instanceof DatabaseError)) throw error
    return `${error.reaction}: ${error.reason.message}`
  })

const hack = { dupsortHack: true }

const flagsOf = (name: string) =>
  Effect.map(raw, (dbis) => dbis.find((dbi) => dbi.name === DbiName.fromText(name))?.flags)

/** As keys and values are shown that are not printable. */
const shown = (text: string) => `0x${Buffer.from(text, "latin1").toString("hex")}`

const long = (last: string) => "v".repeat(400) + last

for (const { kind, make } of kinds) {
  describe(`Shadow mode (${kind}): MDB_INTEGERKEY`, () => {
    for (const length of [4, 8] as const) {
      it.effect(`keys of ${length} bytes are in the order of numbers, with 0 and the largest`, () =>
        Effect.gen(function* () {
          const { before, running } = yield* makeWorld(make)
          const [zero, one, byte, word] = [
            integer(0, length),
            integer(1, length),
            integer(256, length),
            integer(65_536, length)
          ]
          const largest = "\xff".repeat(length)
          yield* before(
            put(
              "i",
              [
                [byte, "256"],
                [zero, "0"],
                [largest, "max"],
                [one, "1"]
              ],
              INTEGERKEY
            )
          )
          yield* Effect.gen(function* () {
            yield* copyAt(5)
            assert.strictEqual(yield* shadowFlagsOf("i"), INTEGERKEY)
            yield* write(put("i", [[one, "one"]]))
            yield* write(remove("i", byte))
            yield* copyAt(6)
            yield* mergeDbis(
              theirs(
                "i",
                [
                  [zero, 9, "zero"],
                  [word, 9, "65536"],
                  [largest, 9, null]
                ],
                INTEGERKEY
              )
            )
            assert.deepStrictEqual(yield* shadow("i"), [
              `${shown(zero)}=zero @9ms`,
              `${shown(one)}=one @6ms`,
              `${shown(byte)} deleted @6ms`,
              `${shown(word)}=65536 @9ms`,
              `${shown(largest)} deleted @9ms`
            ])
            assert.deepStrictEqual(yield* main("i"), [
              `${shown(zero)}=zero`,
              `${shown(one)}=one`,
              `${shown(word)}=65536`
            ])
          }).pipe(running())
        })
      )
    }

    it.effect("a snapshot with keys of the other length is refused, in every message of it", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        yield* before(put("i", { aaaa: "1" }, INTEGERKEY))
        yield* Effect.gen(function* () {
          const id = yield* lastId
          assert.match(
            yield* refusalOf(mergeDbis(theirs("i", [["aaaaaaaa", 9, "v"]], INTEGERKEY))),
            /quarantine: refused: .*has 8 bytes, others of the DBI have 4/
          )
          const twice = [
            theirs("new", [["aaaa", 9, "v"]], INTEGERKEY),
            theirs("new", [["aaaaaaaa", 9, "v"]], INTEGERKEY)
          ]
          assert.match(yield* refusalOf(mergeDbis(...twice)), /quarantine: refused: .*has 8 bytes/)
          assert.strictEqual(yield* lastId, id)
        }).pipe(running())
      })
    )
  })

  describe(`Shadow mode (${kind}): MDB_DUPSORT`, () => {
    it.effect("each pair has an entry in the shadow", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        const name = "k".repeat(255)
        yield* before(
          put(
            "d",
            [
              ["key", "a"],
              ["key", "b"],
              ["key", "c"],
              ["other", "a"],
              [name, "v"]
            ],
            DUPSORT
          )
        )
        yield* Effect.gen(function* () {
          yield* copyAt(5)
          yield* write(removePair("d", "key", "b"))
          yield* write(put("d", { key: "bb" }))
          yield* copyAt(6)
          yield* mergeDbis(
            theirs(
              "d",
              [
                [pairKey("key", "a"), 9, null],
                [pairKey("key", "b"), 9, "b"],
                [pairKey("key", "d"), 9, "d"],
                [pairKey("other", "a"), 0, null]
              ],
              DUPSORT
            )
          )
          assert.deepStrictEqual(yield* main("d"), ["key=b", "key=bb", "key=c", "key=d", `${name}=v`, "other=a"])
          const versions = (yield* shadow("d"))!.map((line) => line.replace(/^.*?(=|\x20deleted)/, "$1"))
          assert.deepStrictEqual(versions, [
            " deleted @9ms",
            "=b @9ms",
            "=bb @6ms",
            "=c @1ns",
            "=d @9ms",
            "=v @1ns",
            "=a @1ns"
          ])
          assert.strictEqual(yield* shadowFlagsOf("d"), 0)
          const id = yield* lastId
          yield* copyAt(10)
          assert.strictEqual(yield* lastId, id, "main is what lives in the shadow")
        }).pipe(running(hack))
      })
    )

    it.effect("a value longer than fits is replaced by another one with the same beginning", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        const name = "k".repeat(200)
        assert.strictEqual(pairKey(name, long("1")), pairKey(name, long("2")))
        yield* before(
          put(
            "d",
            [
              [name, long("2")],
              [name, "a"]
            ],
            DUPSORT
          )
        )
        yield* Effect.gen(function* () {
          yield* mergeDbis(theirs("d", [[pairKey(name, long("1")), 9, long("1")]], DUPSORT))
          assert.deepStrictEqual(yield* main("d"), [`${name}=a`, `${name}=${long("1")}`])
          yield* write(removePair("d", name, long("1")))
          yield* write(put("d", [[name, long("3")]]))
          yield* copyAt(20)
          assert.deepStrictEqual((yield* shadow("d"))!.at(-1)!.split("=")[1], `${long("3")} @20ms`)
          yield* write(put("d", [[name, long("4")]]))
          assert.match(
            yield* refusalOf(copyAt(21)),
            new RegExp(`end: DBI "d" cannot be synced: key 0x(6b){200}: .*no unique keys in rising order`)
          )
        }).pipe(running(hack))
      })
    )

    it.effect("a key of more than 255 bytes, and pairs out of order in the shadow, are errors that name the key", () =>
      Effect.gen(function* () {
        for (const [pairs, problem] of [
          [[["k".repeat(256), "v"]], /end: DBI "d" cannot be synced: key 0x(6b){256}: keys of 1 to 255 bytes/],
          [
            [
              ["a", "x"],
              ["a\0", "y"]
            ],
            /end: DBI "d" cannot be synced: key 0x6100: .*no unique keys in rising order/
          ]
        ] as const) {
          const { before, running } = yield* makeWorld(make)
          yield* before(put("d", pairs, DUPSORT))
          assert.match(yield* refusalOf(running(hack)(Effect.void)), problem)
          assert.deepStrictEqual(
            yield* running()(Effect.void).pipe(refusalOf),
            `end: DBI "d" cannot be synced: it has MDB_DUPSORT: set dupsort_hack: true for this database`
          )
        }
      })
    )

    it.effect("a snapshot's pair that LMDB cannot hold is refused, and nothing of the snapshot is applied", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        yield* before(put("d", { k: "" }, DUPSORT), put("e", [], DUPSORT))
        yield* Effect.gen(function* () {
          const id = yield* lastId
          for (const [dbi, value, reason] of [
            ["d", "v", "an empty one beside others"],
            ["e", "v".repeat(512), "has 512 bytes"]
          ] as const) {
            const refused = mergeDbis(
              theirs("c", [["k", 9, "v"]]),
              theirs(dbi, [[pairKey("k", value), 9, value]], DUPSORT)
            )
            assert.match(
              yield* refusalOf(refused),
              new RegExp(`quarantine: refused: .*DBI "${dbi}", key 0x6b: its value .*${reason}`)
            )
          }
          // A pair in a DBI of the snapshot's making.
          const twice = theirs(
            "new",
            [
              [pairKey("k", ""), 9, ""],
              [pairKey("k", "v"), 9, "v"]
            ],
            DUPSORT
          )
          assert.match(yield* refusalOf(mergeDbis(twice)), /quarantine: refused/)
          assert.strictEqual(yield* lastId, id)
          assert.deepStrictEqual(yield* main("d"), ["k="])
        }).pipe(running(hack))
      })
    )

    it.effect("MDB_DUPFIXED goes as it is", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        yield* before(
          put(
            "d",
            [
              ["k", "aaaa"],
              ["k", "bbbb"]
            ],
            DUPSORT | DUPFIXED
          )
        )
        yield* Effect.gen(function* () {
          yield* mergeDbis(
            theirs(
              "d",
              [
                [pairKey("k", "aaaa"), 9, null],
                [pairKey("k", "cccc"), 9, "cccc"]
              ],
              DUPSORT | DUPFIXED
            )
          )
          assert.deepStrictEqual(yield* main("d"), ["k=bbbb", "k=cccc"])
          const { object } = yield* dump()
          const [dbi] = decode(gunzipSync(object)).dbis
          assert.deepStrictEqual([dbi!.flags, dbi!.transform, dbi!.entries.length], [0x14n, "dupsort_hack_v1", 3])
        }).pipe(running(hack))
      })
    )

    const inexact = [
      { flags: DUPSORT | INTEGERKEY, name: "MDB_INTEGERKEY" },
      { flags: DUPSORT | DUPFIXED | 0x20, name: "MDB_INTEGERDUP" },
      { flags: DUPSORT | 0x40, name: "MDB_REVERSEDUP" },
      { flags: 0x02, name: "MDB_REVERSEKEY" }
    ]

    it.effect(
      "what the shadow cannot represent is refused by name: an application's ends the daemon, a snapshot's is quarantined",
      () =>
        Effect.gen(function* () {
          for (const { flags, name } of inexact) {
            const { before, running } = yield* makeWorld(make)
            yield* before(put("other", { k: "v" }))
            yield* Effect.gen(function* () {
              const id = yield* lastId
              const refusal = yield* refusalOf(mergeDbis(theirs("x", [[pairKey("aaaa", "aaaa"), 9, "aaaa"]], flags)))
              assert.match(refusal, new RegExp(`^quarantine: refused: .*DBI "x": it has .*${name}`))
              assert.strictEqual(yield* lastId, id)
            }).pipe(running(hack))
            yield* before((transaction) => transaction.create(DbiName.fromText("x"), flags))
            assert.match(
              yield* refusalOf(running(hack)(Effect.void)),
              new RegExp(`^end: DBI "x" cannot be synced: it has .*${name}`)
            )
          }
        })
    )
  })

  describe(`Shadow mode (${kind}): a DBI whose shadow would have a name that is too long`, () => {
    it.effect(
      "is refused before anything is written: a snapshot's is quarantined, an application's ends the daemon",
      () =>
        Effect.gen(function* () {
          for (const length of [499, 511]) {
            const { before, running } = yield* makeWorld(make)
            const name = "n".repeat(length)
            yield* before(put("other", { k: "v" }))
            yield* Effect.gen(function* () {
              const id = yield* lastId
              const refusal = yield* refusalOf(
                mergeDbis(theirs(name, [["k", 9, "v"]], 0), theirs("z", [["k", 9, "v"]], 0))
              )
              assert.match(refusal, new RegExp(`^quarantine: refused: .*its name has ${length} bytes`))
              assert.strictEqual(yield* lastId, id)
            }).pipe(running())
            yield* before(put(name, [["k", "v"]]))
            assert.match(
              yield* refusalOf(running()(Effect.void)),
              new RegExp(`^end: DBI "${name}" cannot be synced: its name has ${length} bytes`)
            )
          }
        })
    )

    it.effect("of 498 bytes it is synced", () =>
      Effect.gen(function* () {
        const { running } = yield* makeWorld(make)
        const name = "n".repeat(498)
        yield* Effect.gen(function* () {
          yield* mergeDbis(theirs(name, [["k", 9, "v"]]))
          assert.deepStrictEqual(yield* main(name), ["k=v"])
        }).pipe(running())
      })
    )
  })

  describe(`Shadow mode (${kind}): a DBI that is not there`, () => {
    it.effect("is made with the flags of the snapshot, or with those of override_create_flags", () =>
      Effect.gen(function* () {
        const { running } = yield* makeWorld(make)
        yield* Effect.gen(function* () {
          yield* mergeDbis(
            theirs("dup", [[pairKey("k", "v"), 9, "v"]], DUPSORT),
            theirs("fixed", [[pairKey("k", "v"), 9, "v"]], DUPSORT),
            theirs("int", [["aaaa", 9, "v"]], INTEGERKEY),
            theirs("none", []),
            theirs("plain", [["k", 9, "v"]])
          )
          assert.deepStrictEqual(yield* Effect.forEach(["dup", "fixed", "int", "none", "plain"], flagsOf), [
            DUPSORT,
            DUPSORT | DUPFIXED,
            INTEGERKEY,
            0,
            0
          ])
          assert.deepStrictEqual(yield* main("fixed"), ["k=v"])
          assert.deepStrictEqual(yield* shadow("none"), [])
        }).pipe(running({ dupsortHack: true, createFlags: { fixed: DUPSORT | DUPFIXED } }))
      })
    )

    it.effect("is not made with flags under which the snapshot's keys have another order", () =>
      Effect.gen(function* () {
        const { running } = yield* makeWorld(make)
        yield* Effect.gen(function* () {
          const refusal = yield* refusalOf(mergeDbis(theirs("int", [["aaaa", 9, "v"]])))
          assert.match(
            refusal,
            /quarantine: refused: .*DBI "int": it has the flags none, the DBI here has MDB_INTEGERKEY/
          )
          assert.deepStrictEqual(yield* raw, [])
        }).pipe(running({ createFlags: { int: INTEGERKEY } }))
      })
    )

    it.effect("is not made from formats 1 and 2, which do not tell its flags, unless override_create_flags does", () =>
      Effect.gen(function* () {
        for (const formatVersion of [1, 2]) {
          const { running } = yield* makeWorld(make)
          const old = objectOf({ ...ofDbis([theirs("d", [["k", 9, "v"]])]), formatVersion })
          const oldDup = objectOf({ ...ofDbis([{ ...theirs("dup", [[pairKey("k", "v"), 9, "v"]]) }]), formatVersion })
          assert.match(yield* running()(refusalOf(merge(old))), /quarantine: refused: .*"d": .*override_create_flags/)
          yield* Effect.gen(function* () {
            yield* merge(old)
            yield* merge(oldDup)
            assert.deepStrictEqual([yield* main("d"), yield* main("dup")], [["k=v"], ["k=v"]])
          }).pipe(running({ dupsortHack: true, createFlags: { d: 0, dup: DUPSORT } }))
        }
      })
    )

    it.effect("since the application dropped it: its shadow stays, and fills it when a snapshot has it", () =>
      Effect.gen(function* () {
        for (const flags of [0, DUPSORT]) {
          const { running } = yield* makeWorld(make)
          const key = (text: string) => (flags === 0 ? text : pairKey(text, "1"))
          yield* Effect.gen(function* () {
            yield* write(put("d", { a: "1", b: "1", c: "1" }, flags))
            yield* write(put("e", { a: "1" }))
            yield* copyAt(5)
            yield* write(remove("d", "b"))
            yield* copyAt(6)
            const before = yield* shadow("d")
            yield* write(drop("d"))
            const { object } = yield* dump()
            assert.deepStrictEqual(
              decode(gunzipSync(object)).dbis.map(({ name }) => String(name)),
              ["e"]
            )
            assert.deepStrictEqual(yield* shadow("d"), before)
            // Without it, with it but nothing new, and with something new.
            yield* mergeDbis(theirs("e", [["b", 9, "1"]]))
            assert.isUndefined(yield* main("d"))
            yield* mergeDbis(theirs("d", [[key("a"), 3, null]], flags))
            assert.deepStrictEqual(yield* main("d"), ["a=1", "c=1"])
            assert.deepStrictEqual(yield* shadow("d"), before)
            yield* write(drop("d"))
            yield* mergeDbis(
              theirs(
                "d",
                [
                  [key("a"), 9, null],
                  [key("b"), 9, "1"],
                  [key("d"), 9, "1"]
                ],
                flags
              )
            )
            assert.deepStrictEqual(yield* main("d"), ["b=1", "c=1", "d=1"])
            yield* write(drop("d"))
            yield* mergeDbis(theirs("d", [], flags))
            assert.deepStrictEqual(yield* main("d"), ["b=1", "c=1", "d=1"])
          }).pipe(running(hack))
        }
      })
    )

    it.effect("and is recreated by the application in another way than its shadow: an error that says what to do", () =>
      Effect.gen(function* () {
        for (const [first, second, problem] of [
          [
            put("d", { aaaa: "1" }),
            put("d", { aaaa: "1" }, INTEGERKEY),
            /its shadow has the flags none, not MDB_INTEGERKEY.*drop-shadow/
          ],
          [
            put("d", { aaaa: "1" }, INTEGERKEY),
            put("d", { aaaa: "1" }),
            /its shadow has the flags MDB_INTEGERKEY, not none.*drop-shadow/
          ],
          [
            put("d", { aaaa: "1" }, INTEGERKEY),
            put("d", { aaaaaaaa: "1" }, INTEGERKEY),
            /integer keys of 4 bytes.*drop-shadow/
          ],
          [
            put("d", { aaaa: "1" }),
            put("d", { aaaa: "1" }, DUPSORT),
            /keys that are not those of a MDB_DUPSORT DBI.*drop-shadow/
          ]
        ] as const) {
          const { before, running } = yield* makeWorld(make)
          yield* before(first)
          yield* running(hack)(Effect.void)
          yield* before(drop("d"))
          yield* before(second)
          assert.match(yield* refusalOf(running(hack)(Effect.void)), problem)
        }
      })
    )

    it.effect("and comes in a snapshot in another way than its shadow: refused, with what to do", () =>
      Effect.gen(function* () {
        const { before, running } = yield* makeWorld(make)
        yield* before(put("d", { aaaa: "1" }, INTEGERKEY))
        yield* running()(Effect.void)
        yield* before(drop("d"))
        yield* Effect.gen(function* () {
          assert.match(
            yield* refusalOf(mergeDbis(theirs("d", [["k", 9, "v"]]))),
            /quarantine: refused: .*shadow here is of a DBI with others: run drop-shadow/
          )
          assert.match(
            yield* refusalOf(mergeDbis(theirs("d", [["aaaaaaaa", 9, "v"]], INTEGERKEY))),
            /quarantine: refused: .*has 8 bytes/
          )
        }).pipe(running())
      })
    )
  })
}
