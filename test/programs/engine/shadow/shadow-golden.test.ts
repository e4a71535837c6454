/** Shadow mode against the golden files, byte for byte: merge pairs, dumps, and the first copy main → shadow. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as Golden from "../../../support/fixtures/Golden.ts"
import { dump, lastId, merge, raw } from "../../../support/fixtures/Environments.ts"
import { kinds } from "../../../support/fixtures/GoldenEnvironments.ts"

interface Source {
  readonly lmdb: string
  readonly lmdbBefore?: string
  readonly mode: "native" | "shadow"
}

interface MergePair {
  readonly name: string
  readonly kind: string
  readonly mode: "native" | "shadow"
  readonly lmdbBefore: string
  readonly snapshot: string
  readonly sent?: string
  readonly expected: string
}

interface Expected {
  readonly dbis: ReadonlyArray<{
    readonly name: string
    readonly flags: number
    readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string }>
  }>
}

const shadow = { shadow: { dupsortHack: true, createFlags: {} } }

const manifest = Golden.readJson<{
  readonly lmdb: ReadonlyArray<MergePair>
  readonly snapshots: ReadonlyArray<Golden.GoldenSnapshot & { readonly source?: Source }>
}>("manifest.json")

const shown = Effect.map(raw, (dbis) =>
  dbis.map(({ entries, flags, name }) => ({ name: DbiName.display(name), flags, entries }))
)

/** Without the transaction id in the header. */
const withoutId = (dbis: Expected["dbis"]): Expected["dbis"] =>
  dbis.map(({ entries, flags, name }) => ({
    name,
    flags,
    entries: name.startsWith("_sync")
      ? entries.map(({ key, value }) => ({ key, value: `${value.slice(0, 16)}…${value.slice(32)}` }))
      : entries
  }))

for (const { kind, open } of kinds) {
  describe(`Shadow mode (${kind}) and the golden files`, () => {
    it.effect("a merge gives every DBI, flag and value as expected, and brings nothing the second time", () =>
      Effect.gen(function* () {
        const pairs = (yield* manifest).lmdb.filter(({ kind, mode }) => kind === "merge-pair" && mode === "shadow")
        assert.isAtLeast(pairs.length, 3)
        for (const pair of pairs) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Effect.provide(
                Effect.gen(function* () {
                  yield* merge(yield* Golden.read(pair.snapshot))
                  const expected = yield* Golden.readJson<Expected>(pair.expected)
                  assert.deepStrictEqual(withoutId(yield* shown), withoutId(expected.dbis), pair.name)
                  const last = yield* lastId
                  const again = yield* merge(yield* Golden.read(pair.snapshot))
                  assert.strictEqual(again.entriesWritten, 0)
                  assert.strictEqual(yield* lastId, last, "the lock was not taken")
                }),
                yield* open(pair.lmdbBefore, false, shadow)
              )
            })
          )
        }
      })
    )

    it.effect("a dump gives the reference's bytes", () =>
      Effect.gen(function* () {
        const { lmdb, snapshots } = yield* manifest
        const dumped = snapshots
          .filter(({ merge, source }) => source?.mode === "shadow" && merge.shadow === "ok")
          .map((snapshot) => ({ snapshot, path: snapshot.source!.lmdb }))
        // What the reference sent before the merge of a pair.
        const sent = lmdb
          .filter(({ mode, sent }) => mode === "shadow" && sent !== undefined)
          .map(({ lmdbBefore, sent }) => ({ snapshot: snapshots.find(({ path }) => path === sent)!, path: lmdbBefore }))
        assert.isAtLeast(dumped.length, 5)
        assert.isAtLeast(sent.length, 2)
        for (const {
          path,
          snapshot: { messageSha256, meta, name }
        } of [...dumped, ...sent]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Effect.provide(
                Effect.gen(function* () {
                  const { object } = yield* dump({
                    instanceID: meta!.instanceID,
                    hostname: meta!.hostname,
                    newestKnown: BigInt(meta!.timestampNano) - 1n
                  })
                  assert.strictEqual(yield* Golden.sha256(gunzipSync(object)), messageSha256, name)
                }),
                yield* open(path, false, shadow)
              )
            })
          )
        }
      })
    )

    it.effect("what is in main before the first start gets the time 1 ns", () =>
      Effect.gen(function* () {
        const sources = (yield* manifest).snapshots.filter(
          ({ merge, source }) => source?.lmdbBefore !== undefined && merge.shadow === "ok"
        )
        assert.isAtLeast(sources.length, 4)
        for (const { name, source } of sources) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const after = yield* Effect.provide(shown, yield* open(source!.lmdb, false, shadow))
              const made = yield* Effect.provide(shown, yield* open(source!.lmdbBefore!, false, shadow))
              assert.isTrue(
                made.some((dbi) => dbi.name.startsWith("_sync_shadow_")),
                name
              )
              assert.deepStrictEqual(withoutId(made), withoutId(after), name)
            })
          )
        }
      })
    )
  })
}
