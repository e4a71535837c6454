/** Dumping the golden LMDB files: the bytes that the reference made of them, before compression. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import * as Golden from "../../../support/fixtures/Golden.ts"
import { dump, lastId, merge, over } from "../../../support/fixtures/Environments.ts"
import { kinds, native, recorded } from "../../../support/fixtures/GoldenEnvironments.ts"

interface Dumped extends Golden.GoldenSnapshot {
  readonly source?: { readonly lmdb: string; readonly mode: "native" | "shadow" }
}

const sources = Effect.map(
  Golden.readJson<{ readonly snapshots: ReadonlyArray<Dumped> }>("manifest.json"),
  ({ snapshots }) => snapshots.filter(({ source }) => source?.mode === "native")
)

/** One of its DBIs has a name of other bytes. */
const otherNames = "native-names"

/** What this environment gives is the golden snapshot's message. */
const same = Effect.fnUntraced(function* ({ messageBytes, messageSha256, meta, name }: Dumped) {
  const { object, result } = yield* dump({
    instanceID: meta!.instanceID,
    hostname: meta!.hostname,
    // The clock of the test stands at 1970: what is dumped gets the time after this.
    newestKnown: BigInt(meta!.timestampNano) - 1n
  })
  const message = gunzipSync(object)
  assert.strictEqual(yield* Golden.sha256(message), messageSha256, name)
  assert.strictEqual(result.uncompressedSize, messageBytes)
  assert.strictEqual(result.transactionId, BigInt(meta!.lmdbTxnID))
  assert.strictEqual(result.timestampNano, BigInt(meta!.timestampNano))
  assert.isTrue(result.clockBehind)
  assert.strictEqual(yield* lastId, BigInt(meta!.lmdbTxnID), "a dump writes nothing")
})

for (const { kind, open } of kinds) {
  describe(`Dump (${kind})`, () => {
    it.effect("gives the reference's bytes", () =>
      Effect.gen(function* () {
        const all = (yield* sources).filter(({ merge, name }) => merge.native === "ok" && name !== otherNames)
        assert.isAtLeast(all.length, 4)
        for (const snapshot of all) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Effect.provide(same(snapshot), yield* open(snapshot.source!.lmdb))
            })
          )
        }
      })
    )
  })
}

describe("Dump", () => {
  it.effect("gives the reference's bytes for a DBI whose name is not UTF-8", () =>
    Effect.gen(function* () {
      const snapshot = (yield* sources).find(({ name }) => name === otherNames)!
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      yield* recorded(application, BigInt(snapshot.meta!.lmdbTxnID) - 1n)
      yield* Effect.provide(
        Effect.andThen(
          Effect.flatMap(Golden.read(snapshot.path), (object) => merge(object)),
          same(snapshot)
        ),
        over(layer)
      )
    })
  )

  it.effect("never leaves such a DBI out: the package lmdb cannot open it, and the error names it", () =>
    Effect.gen(function* () {
      const snapshot = (yield* sources).find(({ name }) => name === otherNames)!
      const error = yield* Effect.flip(Effect.provide(same(snapshot), yield* native(snapshot.source!.lmdb)))
      assert.include(error.message, "DBI 0x7261772dfffe2d68766a636d6b6e6770")
    })
  )

  it.effect("refuses a DBI with flags by its name", () =>
    Effect.gen(function* () {
      const { source } = (yield* sources).find(({ name }) => name === "native-flags")!
      const error = yield* Effect.flip(Effect.provide(Database, yield* native(source!.lmdb)))
      if (error._tag !== "DatabaseError") return assert.fail(error.message)
      assert.include(error.message, `"ints32"`)
      assert.include(error.message, "MDB_INTEGERKEY")
      assert.strictEqual(error.reaction, "end")
    })
  )
})
