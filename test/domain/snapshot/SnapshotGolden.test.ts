/**
 * The golden snapshots: files of several releases of the reference, unusual but valid ones, and bad ones. Broken
 * containers are not here.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { KeyLayout } from "../../../src/domain/lmdb/KeyLayout.ts"
import { orderOf } from "../../../src/domain/lmdb/KeyOrder.ts"
import { RisingKeys } from "../../../src/domain/lmdb/KeyOrderCheck.ts"
import { SnapshotCorrupt } from "../../../src/domain/snapshot/SnapshotCorrupt.ts"
import {
  nativeDbiRefusal,
  shadowDbiRefusal,
  SnapshotRefused,
  versionRefusal
} from "../../../src/domain/snapshot/SnapshotRules.ts"
import {
  cut,
  type DecodedDbi,
  decode,
  decodeChunks,
  type DecodedSnapshot,
  encode
} from "../../support/fixtures/DecodedSnapshot.ts"
import * as Golden from "../../support/fixtures/Golden.ts"

/** What the manifest has the digest of. */
const digested = (dbi: DecodedDbi, mask: number): Uint8Array =>
  Buffer.concat(
    dbi.entries.flatMap((entry) => {
      const [key, value] = [Buffer.from(entry.key, "hex"), Buffer.from(entry.value, "hex")]
      const numbers = Buffer.alloc(20)
      numbers.writeUInt32BE(key.length)
      numbers.writeUInt32BE(value.length, 4)
      numbers.writeBigUInt64BE(entry.timestampNano, 8)
      numbers.writeUInt32BE((entry.flags & mask) >>> 0, 16)
      return [numbers.subarray(0, 4), key, numbers.subarray(4, 8), value, numbers.subarray(8)]
    })
  )

const metaText = (meta: DecodedSnapshot["meta"]) =>
  Object.fromEntries(Object.entries(meta).map(([field, value]) => [field, String(value)]))

const emptyMeta = {
  generationID: "",
  instanceID: "",
  hostname: "",
  databaseName: "",
  lmdbTxnID: "0",
  timestampNano: "0",
  fromLmdbTxnID: "0"
}

type Mode = "native" | "shadow" | "shadow, flags known"

/**
 * Everything that a merge checks, in the order in which it matters: structure and order of keys first, then what is
 * refused.
 */
const judge = (message: Uint8Array, mode: Mode): { readonly outcome: string; readonly problem: string } => {
  try {
    const heads = decode(message).dbis
    const checks = heads.map((head) => ({
      rising: new RisingKeys(orderOf(Number(head.flags))),
      layout: new KeyLayout(head)
    }))
    decodeChunks([message.slice()], (batch, dbi) => checks[dbi]!.rising.checkBatch(batch))
    const { compatVersion, formatVersion } = decode(message)
    const refusals = [
      versionRefusal(formatVersion, compatVersion),
      ...heads.map((head) =>
        mode === "native"
          ? nativeDbiRefusal(head)
          : shadowDbiRefusal(head, formatVersion, {
              exists: false,
              overrideCreateFlags: mode === "shadow" ? undefined : 0,
              dupsortHack: true
            })
      )
    ].filter((refusal) => refusal !== undefined)
    if (refusals.length > 0) return { outcome: "refused", problem: refusals.join("; ") }
    decodeChunks([message.slice()], (batch, dbi) => checks[dbi]!.layout.checkBatch(batch))
    return { outcome: "ok", problem: "" }
  } catch (error) {
    if (error instanceof SnapshotCorrupt) return { outcome: "corrupt", problem: error.message }
    if (error instanceof SnapshotRefused) return { outcome: "refused", problem: error.message }
    throw error
  }
}

const ok = Effect.map(Golden.snapshots, (all) => all.filter(({ outcome }) => outcome === "ok"))

describe("golden snapshots", () => {
  it.effect("each valid one decodes to what the manifest says, whatever the chunks", () =>
    Effect.gen(function* () {
      const files = yield* ok
      assert.strictEqual(files.length, 62)
      for (const file of files) {
        const message = yield* Golden.readMessage(file.path)
        for (const size of [1, 7, message.length]) {
          const snapshot = decode(message, size)
          assert.strictEqual(snapshot.formatVersion, file.formatVersion, file.name)
          assert.strictEqual(snapshot.compatVersion, file.compatVersion, file.name)
          assert.deepStrictEqual(metaText(snapshot.meta), { ...emptyMeta, ...file.meta }, file.name)
          assert.deepStrictEqual(
            snapshot.dbis.map((dbi) => [dbi.name, dbi.flags, dbi.transform, dbi.entries.length]),
            file.dbis.map((dbi) => [
              dbi.nameHex === undefined
                ? DbiName.fromText(dbi.name ?? "")
                : DbiName.fromBytes(Buffer.from(dbi.nameHex, "hex")),
              BigInt(dbi.flags),
              dbi.transform,
              dbi.entries
            ]),
            file.name
          )
          for (const [index, dbi] of file.dbis.entries()) {
            const actual = snapshot.dbis[index]!
            assert.strictEqual(yield* Golden.sha256(digested(actual, ~0)), dbi.digest, file.name)
            if (dbi.maskedDigest !== undefined)
              assert.strictEqual(yield* Golden.sha256(digested(actual, 1)), dbi.maskedDigest, file.name)
          }
        }
      }
    })
  )

  it.effect("the entries of small ones are those listed", () =>
    Effect.gen(function* () {
      interface Listed {
        readonly key: string
        readonly value: string
        readonly timestampNano: string
        readonly flags: number
      }
      for (const file of yield* ok) {
        if (file.entriesFile === undefined) continue
        const listed = yield* Golden.readJson<ReadonlyArray<{ readonly entries: ReadonlyArray<Listed> }>>(
          file.entriesFile
        )
        const snapshot = decode(yield* Golden.readMessage(file.path))
        assert.deepStrictEqual(
          snapshot.dbis.map(({ entries }) =>
            entries.map((entry) => ({ ...entry, timestampNano: String(entry.timestampNano) }))
          ),
          listed.map(({ entries }) =>
            entries.map(({ flags, key, timestampNano, value }) => ({ key, value, timestampNano, flags }))
          ),
          file.name
        )
      }
    })
  )

  it.effect("the writer makes the bytes of every canonical one", () =>
    Effect.gen(function* () {
      let compared = 0
      for (const file of yield* ok) {
        const message = yield* Golden.readMessage(file.path)
        const written = encode(decode(message))
        if (file.canonical !== true) {
          assert.deepStrictEqual(decode(written).dbis, decode(message).dbis, file.name)
          continue
        }
        assert.strictEqual(yield* Golden.sha256(written), file.messageSha256, file.name)
        compared++
      }
      assert.isAbove(compared, 30)
    })
  )

  it.effect("each valid one may be merged, or is refused, as the manifest says for each mode", () =>
    Effect.gen(function* () {
      for (const file of yield* ok) {
        const message = yield* Golden.readMessage(file.path)
        assert.strictEqual(
          judge(message, "native").outcome,
          file.merge.native,
          `${file.name}: ${judge(message, "native").problem}`
        )
        const shadow = file.merge.shadow.startsWith("refused") ? "refused" : "ok"
        assert.strictEqual(
          judge(message, "shadow").outcome,
          shadow,
          `${file.name}: ${judge(message, "shadow").problem}`
        )
        if (file.merge.shadow.includes("unless"))
          assert.strictEqual(judge(message, "shadow, flags known").outcome, "ok", file.name)
      }
    })
  )

  it.effect("each bad one is corrupt or refused, as the manifest says, whatever the chunks", () =>
    Effect.gen(function* () {
      const files = (yield* Golden.snapshots).filter(
        ({ messageBytes, outcome }) => outcome !== "ok" && messageBytes !== undefined
      )
      assert.strictEqual(files.length, 108)
      for (const file of files) {
        const message = yield* Golden.readMessage(file.path)
        for (const mode of ["native", "shadow"] as const) {
          const { outcome, problem } = judge(message, mode)
          assert.strictEqual(outcome, file.outcome, `${file.name} (${mode}): ${problem}`)
          assert.isNotEmpty(problem)
        }
        for (const size of [1, 7]) {
          const whole = caught(() => decode(message))
          assert.strictEqual(
            caught(() => decodeChunks(cut(message, [size]))),
            whole,
            file.name
          )
        }
      }
    })
  )
})

/** Whether it is corrupt; anything else that is thrown fails the test. */
const caught = (decoding: () => unknown): boolean => {
  try {
    decoding()
    return false
  } catch (error) {
    if (error instanceof SnapshotCorrupt) return true
    throw error
  }
}
