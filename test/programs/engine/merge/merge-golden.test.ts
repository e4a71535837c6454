/** Merging against the golden files: the pairs byte for byte, every other snapshot by what becomes of it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import { decode } from "../../../support/fixtures/DecodedSnapshot.ts"
import * as Golden from "../../../support/fixtures/Golden.ts"
import { type Content, contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { lastId, merge, over, raw } from "../../../support/fixtures/Environments.ts"
import { kinds } from "../../../support/fixtures/GoldenEnvironments.ts"

interface MergePair {
  readonly name: string
  readonly kind: string
  readonly mode: "native" | "shadow"
  readonly lmdbBefore: string
  readonly snapshot: string
  readonly expected: string
  readonly mergeTxnID: string
  readonly options?: string
}

interface Expected {
  readonly lastTxnID: string
  readonly dbis: ReadonlyArray<{
    readonly name: string
    readonly flags: number
    readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string }>
  }>
}

const pairs = Effect.map(Golden.readJson<{ readonly lmdb: ReadonlyArray<MergePair> }>("manifest.json"), ({ lmdb }) =>
  lmdb.filter(({ kind, mode }) => kind === "merge-pair" && mode === "native")
)

/** Hexadecimal, as a header has it. */
const headerId = (value: string) => BigInt(`0x${value.slice(16, 32)}`)

for (const { kind, open } of kinds) {
  describe(`Merge (${kind}): the golden pairs`, () => {
    it.live("give every DBI, flag and value as expected", () =>
      Effect.gen(function* () {
        const all = yield* pairs
        assert.isAtLeast(all.length, 3)
        for (const pair of all) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const layer = yield* open(pair.lmdbBefore, pair.options === "header_extra_padding_block: true")
              yield* Effect.provide(
                Effect.gen(function* () {
                  const before = yield* raw
                  const result = yield* merge(yield* Golden.read(pair.snapshot))
                  const expected = yield* Golden.readJson<Expected>(pair.expected)
                  const after = yield* raw
                  assert.deepStrictEqual(
                    after.map(({ entries, flags, name }) => ({ name: DbiName.display(name), flags, entries })),
                    expected.dbis,
                    pair.name
                  )
                  assert.strictEqual(yield* lastId, BigInt(expected.lastTxnID))
                  assert.strictEqual(result.transactionId, BigInt(pair.mergeTxnID))

                  const old = new Map(
                    before.flatMap(({ entries, name }) =>
                      entries.map(({ key, value }) => [`${name}/${key}`, value] as const)
                    )
                  )
                  const written = after.flatMap(({ entries, name }) =>
                    entries.filter(({ key, value }) => old.get(`${name}/${key}`) !== value)
                  )
                  assert.strictEqual(written.length, result.entriesWritten)
                  assert.deepStrictEqual(
                    new Set(written.map(({ value }) => headerId(value))),
                    new Set([BigInt(pair.mergeTxnID)])
                  )

                  const again = yield* merge(yield* Golden.read(pair.snapshot))
                  assert.strictEqual(again.entriesWritten, 0, "merged again, it brings nothing")
                  assert.strictEqual(yield* lastId, BigInt(expected.lastTxnID))
                }),
                layer
              )
            })
          )
        }
      })
    )
  })
}

/** Merges each of them into an LMDB of its own. */
const outcomes = <E>(
  wanted: (snapshot: Golden.GoldenSnapshot) => boolean,
  check: (snapshot: Golden.GoldenSnapshot, outcome: string, content: Content) => Effect.Effect<void, E>
) =>
  Effect.gen(function* () {
    const snapshots = (yield* Golden.snapshots).filter(wanted)
    assert.isAtLeast(snapshots.length, 15)
    for (const snapshot of snapshots) {
      yield* Effect.provide(
        Effect.gen(function* () {
          const outcome = yield* merge(yield* Golden.read(snapshot.path)).pipe(
            Effect.match({
              onSuccess: () => "ok",
              onFailure: (error) => (error._tag === "DatabaseError" ? error.reaction : error._tag)
            })
          )
          const content = contentOf(yield* raw)
          if (outcome !== "ok") assert.strictEqual(yield* lastId, 0n, snapshot.name)
          yield* check(snapshot, outcome, content)
          const { changes } = yield* Database
          assert.strictEqual((yield* changes).lastForeign, 0n, "nobody else has written")
        }),
        over(LmdbMemory.layerWith()),
        { local: true }
      )
    }
  })

describe("Merge: every golden snapshot", () => {
  it.live("that may be merged in native mode is, with what it says", () =>
    outcomes(
      ({ merge, outcome }) => outcome === "ok" && merge.native === "ok",
      Effect.fnUntraced(function* ({ name, path }, outcome, content) {
        assert.strictEqual(outcome, "ok", name)
        const expected = mergeSnapshot(new Map(), decode(yield* Golden.readMessage(path)))
        assert.deepStrictEqual(shown(content), shown(expected), name)
      })
    )
  )

  it.live("that native mode refuses is refused, and nothing is written", () =>
    outcomes(
      ({ merge, outcome }) => outcome === "refused" || (outcome === "ok" && merge.native === "refused"),
      ({ name }, outcome) => Effect.sync(() => assert.strictEqual(outcome, "quarantine: refused", name))
    )
  )

  it.live("that is corrupt is found to be, and nothing is written", () =>
    outcomes(
      ({ outcome }) => outcome === "corrupt",
      ({ name }, outcome) => Effect.sync(() => assert.strictEqual(outcome, "quarantine: corrupt", name))
    )
  )
})
