/**
 * How a dump is cut into compressed members: by content, so that a change touches its neighbourhood only, and equal
 * entries give equal members.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { type Codec, Compression } from "../../../../src/services/Compression.ts"
import { decode } from "../../../support/fixtures/DecodedSnapshot.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { databaseOptions, dump, over, putRaw, raw } from "../../../support/fixtures/Environments.ts"
import { type Line, type Lines, rawDbis } from "../../../support/fixtures/Snapshots.ts"

/** The members of one dump, by what they are. */
interface Members {
  readonly snapshotHead: string
  readonly dbis: ReadonlyArray<{ readonly head: string; readonly entries: ReadonlyArray<string> }>
}

const firstByte = { snapshotHead: 0x08, dbiHead: 0x1a, entry: 0x12 }

/** Members begin with the tag of what they hold; a head that is not alone would hide what follows. */
const sorted = (members: ReadonlyArray<Buffer>): Members => {
  const dbis: Array<{ head: string; entries: Array<string> }> = []
  for (const member of members.slice(1)) {
    const text = member.toString("latin1")
    if (member[0] === firstByte.dbiHead) {
      assert.isBelow(member.length, 600, "the head of a DBI is alone")
      dbis.push({ head: text, entries: [] })
    } else {
      assert.strictEqual(member[0], firstByte.entry)
      dbis.at(-1)!.entries.push(text)
    }
  }
  assert.strictEqual(members[0]![0], firstByte.snapshotHead)
  assert.isBelow(members[0]!.length, 200, "the head of the snapshot is alone")
  return { snapshotHead: members[0]!.toString("latin1"), dbis }
}

/** "Compressed" members are the members, each behind its length: so the object shows them, in its order. */
const codec: Codec = {
  compress: (member) =>
    Effect.sync(() => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(member.length)
      return [Buffer.concat([length, member])]
    }),
  decompress: () => assert.fail("nothing is read"),
  members: undefined
}

const split = (object: Buffer): ReadonlyArray<Buffer> => {
  const members: Array<Buffer> = []
  for (let at = 0; at < object.length;) {
    const end = at + 4 + object.readUInt32LE(at)
    members.push(object.subarray(at + 4, end))
    at = end
  }
  return members
}

/** The members of the object that a dump makes. */
const membersOf = Effect.fnUntraced(function* (content: Lines, instanceID: string, options = databaseOptions()) {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  yield* application.write(putRaw(rawDbis(content)))
  const members = yield* Effect.provide(
    Effect.gen(function* () {
      const { object, result } = yield* dump({ instanceID })
      const members = split(Buffer.from(object))
      const message = Buffer.concat(members)
      assert.strictEqual(result.uncompressedSize, message.length)
      assert.deepStrictEqual(shown(mergeSnapshot(new Map(), decode(message))), shown(contentOf(yield* raw)))
      return members
    }),
    over(
      layer,
      options,
      Layer.succeed(Compression, {
        gzip: codec,
        zstd: codec,
        digest: () => Effect.succeed("asked for by nobody"),
        digestNow: () => "asked for by nobody"
      })
    ),
    { local: true }
  )
  return sorted(members)
})

/** How many there are at both ends that are the same. */
const common = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => {
  let before = 0
  while (before < Math.min(a.length, b.length) && a[before] === b[before]) before++
  let after = 0
  while (after < Math.min(a.length, b.length) - before && a.at(-1 - after) === b.at(-1 - after)) after++
  return before + after
}

const below = (limit: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))

/** Large enough that a boundary comes every ten entries or so. */
const size = Arbitrary.map(below(8), (step) => 10_000 + 12_000 * step)

/** A seed for the keys, and the entries' sizes. */
const content = Arbitrary.all([below(2 ** 20), Arbitrary.array(size, { minLength: 20, maxLength: 70 })])

const linesOf = ([seed, sizes]: readonly [number, ReadonlyArray<number>]): ReadonlyArray<Line> =>
  sizes.map((bytes, i) => [`${seed}-${String(i).padStart(4, "0")}`, 5 + i, `${i}`.padEnd(bytes, "value")])

const change = Arbitrary.all([
  Arbitrary.schema(Schema.Literals(["change", "resize", "add", "delete"])),
  below(70),
  size
])

const changed = (
  lines: ReadonlyArray<Line>,
  [what, at, bytes]: readonly [string, number, number]
): ReadonlyArray<Line> => {
  const index = at % lines.length
  const [key, timestamp, value] = lines[index]!
  const line: Line =
    what === "add"
      ? [`${key}-added`, 9, "n".repeat(bytes)]
      : [key, Number(timestamp) + 1, what === "resize" ? "r".repeat(bytes) : value!.toUpperCase()]
  return lines.toSpliced(
    what === "add" ? index + 1 : index,
    what === "add" ? 0 : 1,
    ...(what === "delete" ? [] : [line])
  )
}

describe("Members of a dump", () => {
  it.live.prop(
    "a change, an addition and a deletion touch only the members between the two neighbouring boundaries",
    [content, change],
    ([entries, what]) =>
      Effect.gen(function* () {
        const lines = linesOf(entries)
        const other = lines.slice(0, 30)
        const before = yield* membersOf({ a: other, b: lines, c: other }, "x")
        const after = yield* membersOf({ a: other, b: changed(lines, what), c: other }, "x")
        assert.deepStrictEqual([after.dbis[0], after.dbis[2]], [before.dbis[0], before.dbis[2]])
        const old = before.dbis[1]!.entries
        const now = after.dbis[1]!.entries
        const same = common(old, now)
        // The entry's own boundary may come or go: then the member after it is touched, too.
        assert.isAtMost(old.length - same, what[0] === "add" || what[0] === "change" ? 1 : 2)
        assert.isAtMost(now.length - same, what[0] === "delete" || what[0] === "change" ? 1 : 2)
        assert.isAtLeast(Math.max(old.length, now.length) - same, 1)
      }),
    { arbitrary: { runs: 25 } }
  )

  it.live.prop(
    "equal entries give equal members on every instance",
    [content],
    ([entries]) =>
      Effect.gen(function* () {
        const lines = linesOf(entries)
        const here = yield* membersOf({ a: lines, b: lines.slice(3) }, "x")
        const there = yield* membersOf(
          { a: lines, aa: [["k", 1, "v"]], b: lines.slice(3) },
          "another",
          databaseOptions({ name: "other", paddingBlock: true })
        )
        assert.deepStrictEqual([there.dbis[0], there.dbis[2]], [here.dbis[0], here.dbis[1]])
        assert.notStrictEqual(there.snapshotHead, here.snapshotHead)
      }),
    { arbitrary: { runs: 10 } }
  )

  it.live("small entries and DBIs without any", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 40_000 }, (_, i): Line => [
        `key-${String(i).padStart(6, "0")}`,
        7,
        `value ${i}`.padEnd(60)
      ])
      const { dbis } = yield* membersOf({ a: [], b: lines, c: [["k", 1, null]] }, "x")
      assert.deepStrictEqual(
        dbis.map(({ head }) => DbiName.display(DbiName.fromText(head.slice(-1)))),
        ["a", "b", "c"]
      )
      assert.deepStrictEqual([dbis[0]!.entries.length, dbis[2]!.entries.length], [0, 1])
      // 3.5 MB: some seven members on average; for these keys it is always the same number.
      assert.isAtLeast(dbis[1]!.entries.length, 2)
      assert.isAtMost(dbis[1]!.entries.length, 16)
    })
  )
})
