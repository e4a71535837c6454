import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { gzipSync } from "node:zlib"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as LocalFile from "../../../src/layers/process/LocalFile.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as SnapshotsDump from "../../../src/programs/snapshots/SnapshotsDump.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { type DecodedSnapshot, encode } from "../../support/fixtures/DecodedSnapshot.ts"
import * as Golden from "../../support/fixtures/Golden.ts"
import { cut } from "../../support/fixtures/ByteStreams.ts"

const layers = Layer.mergeAll(Compressions.layer, StorageMemory.layer, NodeServices.layer)

type Options = Parameters<typeof SnapshotsDump.lines>[0]

/** What was printed, and the error that came after it. */
const dump = Effect.fnUntraced(function* (bytes: Uint8Array, options: Partial<Options> = {}, chunk = 1_000) {
  let printed = ""
  const stream = SnapshotsDump.lines({ name: "x.pb.gz", dbi: undefined, format: "json", ...options }, cut(bytes, chunk))
  const error = yield* stream.pipe(
    Stream.runForEach((text) => Effect.sync(() => void (printed += text))),
    Effect.match({ onSuccess: () => undefined, onFailure: ({ message }) => message })
  )
  return { printed, error }
})

interface Line {
  readonly snapshot?: Readonly<Record<string, unknown>>
  readonly dbi?: string
  readonly dbiHex?: string
  readonly key?: string
}

const linesOf = (printed: string): ReadonlyArray<Line> =>
  printed
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)

/** Fixed: 2023-11-14T22:13:25Z. */
const now = 1_700_000_005_000

const small: DecodedSnapshot = {
  formatVersion: 3,
  compatVersion: 1,
  meta: {
    generationID: "GX",
    instanceID: "a",
    hostname: 'h"1',
    databaseName: "main",
    lmdbTxnID: 2n ** 62n + 1n,
    fromLmdbTxnID: 0n,
    timestampNano: 1_700_000_000_000_000_001n
  },
  dbis: [
    {
      name: DbiName.fromText("records"),
      flags: 0n,
      transform: "",
      entries: [
        { key: "00000001", value: "c0000201", timestampNano: 1_700_000_000_000_000_001n, flags: 0 },
        {
          key: Buffer.from("example.org A").toString("hex"),
          value: "",
          timestampNano: 1_700_000_003_500_000_000n,
          flags: 1
        },
        {
          key: Buffer.from("zone").toString("hex"),
          value: `17979cfe362a0001${Buffer.from("served").toString("hex")}00`,
          timestampNano: 2n ** 64n - 1n,
          flags: 0xabc
        }
      ]
    },
    { name: DbiName.fromBytes(Uint8Array.of(0xff, 0x61)), flags: 20n, transform: "dupsort_hack_v1", entries: [] }
  ]
}

describe("snapshots dump", () => {
  it.effect(
    "JSON has what the golden snapshots hold, in their order, also where a DBI is described after its entries",
    () =>
      Effect.gen(function* () {
        let compared = 0
        for (const golden of yield* Golden.snapshots) {
          if (golden.outcome !== "ok" || golden.entriesFile === undefined) continue
          const expected = yield* Golden.readJson<
            ReadonlyArray<{
              readonly name?: string
              readonly nameHex?: string
              readonly entries: ReadonlyArray<unknown>
            }>
          >(golden.entriesFile)
          const { error, printed } = yield* dump(yield* Golden.read(golden.path))
          assert.isUndefined(error, golden.path)
          const [head, ...rest] = linesOf(printed)
          assert.deepStrictEqual(
            head?.snapshot,
            { formatVersion: golden.formatVersion, compatVersion: golden.compatVersion, ...golden.meta },
            golden.path
          )
          const wanted = golden.dbis.flatMap((dbi, index) => [
            {
              ...(dbi.nameHex === undefined ? { dbi: dbi.name } : { dbiHex: dbi.nameHex }),
              flags: dbi.flags,
              transform: dbi.transform
            },
            ...expected[index]!.entries
          ])
          assert.deepStrictEqual<ReadonlyArray<unknown>>(rest, wanted, golden.path)
          compared++
        }
        assert.isAbove(compared, 40)
      }).pipe(Effect.provide(layers)),
    30_000
  )

  it.effect("is the same however the bytes are cut", () =>
    Effect.gen(function* () {
      const bytes = yield* Golden.read("ok/x-dbi-fields-late.pb.gz")
      const whole = yield* dump(bytes)
      for (const size of [1, 7, 100_000]) assert.deepStrictEqual(yield* dump(bytes, {}, size), whole)
    }).pipe(Effect.provide(layers))
  )

  it.effect("text: meta, then each DBI, bytes as text with what that does not show", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const { error, printed } = yield* dump(gzipSync(encode(small)), { format: "text" })
      assert.isUndefined(error)
      assert.strictEqual(
        printed,
        `{
  "FormatVersion": 3,
  "CompatVersion": 1,
  "Meta": {
    "GenerationID": "GX",
    "InstanceID": "a",
    "Hostname": "h\\"1",
    "LmdbTxnID": 4611686018427387905,
    "TimestampNano": 1700000000000000001,
    "DatabaseName": "main",
    "FromLmdbTxnID": 0
  }
}

### records (transform="", flags="")

.... [00 00 00 01]  =  .... [c0 00 02 01]  (2023-11-14T22:13:20.000000001Z, 4s ago; flags=00)
example.org A  =   []  (2023-11-14T22:13:23.500000000Z, 1s ago; flags=01)
zone [7a 6f 6e 65]  =  ....6*..served. [17 97 9c fe 36 2a 00 01 73 65 72 76 65 64 00] (2023-11-14T22:13:20.000000001Z)  (2554-07-21T23:34:33.709551615Z, -4651873h21m8s ago; flags=abc)

### 0xff61 (transform="dupsort_hack_v1", flags="MDB_DUPSORT|MDB_DUPFIXED")

`
      )
    }).pipe(Effect.provide(layers))
  )

  it.effect("one DBI of several, by its exact name; one that is not there is an error that names those that are", () =>
    Effect.gen(function* () {
      const bytes = gzipSync(encode(small))
      const { error, printed } = yield* dump(bytes, { dbi: "0xff61" })
      assert.isUndefined(error)
      assert.deepStrictEqual<ReadonlyArray<unknown>>(linesOf(printed).slice(1), [
        { dbiHex: "ff61", flags: 20, transform: "dupsort_hack_v1" }
      ])
      assert.deepStrictEqual(linesOf((yield* dump(bytes, { dbi: "records" })).printed).length, 5)
      assert.strictEqual(
        (yield* dump(bytes, { dbi: "record" })).error,
        `x.pb.gz: there is no DBI "record": it has records, 0xff61`
      )
    }).pipe(Effect.provide(layers))
  )

  it.effect(
    "every corrupt golden snapshot prints what can be read, then names itself and the byte",
    () =>
      Effect.gen(function* () {
        for (const golden of yield* Golden.snapshots) {
          if (golden.outcome !== "corrupt") continue
          const { error } = yield* dump(yield* Golden.read(golden.path), { name: golden.path })
          assert.match(error ?? "", /^bad\/.*near byte \d+/, golden.path)
        }
      }).pipe(Effect.provide(layers)),
    30_000
  )

  it.effect("entries before a broken one of the same chunk are printed", () =>
    Effect.gen(function* () {
      const [records] = small.dbis
      const entries = [
        ...records!.entries.slice(0, 2),
        { key: "ff".repeat(512), value: "", timestampNano: 1n, flags: 0 }
      ]
      const { error, printed } = yield* dump(
        gzipSync(encode({ ...small, dbis: [{ ...records!, entries }] })),
        {},
        1_000_000
      )
      assert.lengthOf(linesOf(printed), 4)
      assert.match(error ?? "", /corrupt: .*near byte \d+/)
    }).pipe(Effect.provide(layers))
  )

  it.effect("what comes before the damage is printed: a prefix of the whole", () =>
    Effect.gen(function* () {
      const message = encode(small)
      const { printed: whole } = yield* dump(gzipSync(message))
      for (let length = 60; length < message.length - 20; length += 10) {
        const { error, printed } = yield* dump(gzipSync(message.subarray(0, length)))
        assert.isDefined(error, `${length}`)
        const [complete, cutOff] = [whole.split("\n"), printed.split("\n").slice(0, -1)]
        assert.isAbove(cutOff.length, 0, `${length}`)
        assert.deepStrictEqual(cutOff, complete.slice(0, cutOff.length), `${length}`)
      }
    }).pipe(Effect.provide(layers))
  )

  it.effect("of a store: one that is not there is the store's error; a zstd object is told by its name", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const options = { local: false, dbi: undefined, format: "json" } as const
      const missing = yield* SnapshotsDump.lines({ ...options, name: "none.pb.gz" }, storage.load("none.pb.gz")).pipe(
        Stream.runDrain,
        Effect.flip
      )
      assert.include(missing.message, "none.pb.gz")
      const damaged = yield* SnapshotsDump.lines({ ...options, name: "a.pb.zst" }, cut(gzipSync("x"), 9)).pipe(
        Stream.runDrain,
        Effect.flip
      )
      assert.include(damaged.message, "zstd")
    }).pipe(Effect.provide(layers))
  )

  it.effect("of a file; one that cannot be read is named", () =>
    Effect.gen(function* () {
      const options = { name: "x.pb.gz", local: true, dbi: undefined, format: "json" } as const
      const path = new URL("../../golden/ok/native-small.pb.gz", import.meta.url).pathname
      assert.isAbove((yield* Stream.mkString(SnapshotsDump.lines(options, LocalFile.read(path)))).length, 1_000)
      const error = yield* SnapshotsDump.lines(options, LocalFile.read("/not/there")).pipe(Stream.runDrain, Effect.flip)
      assert.include(error.message, "the file /not/there cannot be read")
    }).pipe(Effect.provide(layers))
  )
})
