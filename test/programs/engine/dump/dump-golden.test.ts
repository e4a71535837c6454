/** Dumping the golden LMDB files: the bytes that Lightning Stream made of them, before compression. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import { Database } from "../../../../src/services/Database.ts"
import * as Golden from "../../../support/fixtures/Golden.ts"
import { dump, lastId } from "../../../support/fixtures/Environments.ts"
import { kinds, native } from "../../../support/fixtures/GoldenEnvironments.ts"

interface Dumped extends Golden.GoldenSnapshot {
  readonly source?: { readonly lmdb: string; readonly mode: "native" | "shadow" }
}

const sources = Effect.map(
  Golden.readJson<{ readonly snapshots: ReadonlyArray<Dumped> }>("manifest.json"),
  ({ snapshots }) => snapshots.filter(({ source }) => source?.mode === "native")
)

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
    it.effect("gives the bytes of Lightning Stream", () =>
      Effect.gen(function* () {
        const all = (yield* sources).filter(({ merge }) => merge.native === "ok")
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
