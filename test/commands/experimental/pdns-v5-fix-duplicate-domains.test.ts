/** `experimental pdns-v5-fix-duplicate-domains` as a process, on an LMDB as PowerDNS 4.8 has it. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Application from "../../support/Application.ts"
import { bundle, runBundled, workspace } from "../../support/Command.ts"
import { folderBucket, nativeFile } from "../../support/Daemon.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"

const { hex, native } = Application

const zoneKey = (name: string, id: number) => {
  const labels = name.split(".").toReversed().join("\0")
  const head = labels.length.toString(16).padStart(4, "0")
  return head + hex(labels) + id.toString(16).padStart(8, "0")
}

interface Zone {
  readonly name: string
  readonly id: number
  readonly time: bigint
  readonly isDeleted?: boolean
}

const withZones = Effect.fnUntraced(function* (zones: ReadonlyArray<Zone>, version = "00000005") {
  yield* bundle
  const { directory } = yield* workspace((directory) => ({
    lmdbs: { main: nativeFile(`${directory}/pdns.lmdb`) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  const application = yield* LmdbApplication.make({ path: `${directory}/pdns.lmdb`, mapSize: 2 ** 20 })
  const dbi = "domains_v5_0"
  yield* application.write(
    { do: "create", dbi: "pdns", flags: 0 },
    { do: "put", dbi: "pdns", key: hex("schemaversion"), value: native(Buffer.from(version, "hex"), 1n) },
    { do: "create", dbi, flags: 0 },
    ...zones.map(
      ({ id, isDeleted, name, time }) =>
        ({ do: "put", dbi, key: zoneKey(name, id), value: native("", time, isDeleted) }) as const
    )
  )
  return {
    application,
    list: Effect.map(application.send({ do: "list", dbi }), ({ entries }) =>
      entries.map(([key, value]) => ({
        key,
        time: BigInt(`0x${value.slice(0, 16)}`),
        transaction: BigInt(`0x${value.slice(16, 32)}`),
        isDeleted: value.slice(34, 36) === "01"
      }))
    ),
    fix: (...args: ReadonlyArray<string>) =>
      runBundled(["experimental", "pdns-v5-fix-duplicate-domains", "-d", "main", ...args], { cwd: directory })
  }
})

const future = 4_000_000_000_000_000_000n

const zones: ReadonlyArray<Zone> = [
  { name: "alone.example", id: 1, time: 5n },
  { name: "deleted.example", id: 2, time: 5n },
  { name: "deleted.example", id: 3, time: 4n, isDeleted: true },
  { name: "example.org", id: 7, time: 30n },
  { name: "example.org", id: 8, time: 20n },
  { name: "example.org", id: 9, time: future },
  { name: "same.example", id: 11, time: 6n },
  { name: "same.example", id: 10, time: 6n },
  { name: "old.example.dup-4.invalid", id: 4, time: 9n }
]

layer(NodeServices.layer, { excludeTestServices: true })("experimental pdns-v5-fix-duplicate-domains", (it) => {
  it.effect("lists duplicates and what earlier runs have left, and changes nothing", () =>
    Effect.gen(function* () {
      const { fix, list } = yield* withZones(zones)
      const before = yield* list
      const { code, err, out } = yield* fix()
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepStrictEqual(out.split("\n"), [
        "example.org: id 8 of 1970-01-01T00:00:00.000000020Z stays",
        "example.org: id 7 of 1970-01-01T00:00:00.000000030Z is a duplicate",
        "example.org: id 9 of 2096-10-02T07:06:40.000000000Z is a duplicate",
        "same.example: id 10 of 1970-01-01T00:00:00.000000006Z stays",
        "same.example: id 11 of 1970-01-01T00:00:00.000000006Z is a duplicate",
        "",
        "Nothing was changed: --dangerous-do-rename renames the duplicates",
        "",
        "Zones to delete, each with pdnsutil delete-zone ZONE:",
        "",
        "    old.example.dup-4.invalid",
        ""
      ])
      assert.deepStrictEqual(yield* list, before)
    })
  )

  it.effect("renames all but the oldest of a name, with times that win, and finds none the next time", () =>
    Effect.gen(function* () {
      const { fix, list } = yield* withZones(zones)
      const before = yield* list
      const { code, err, out } = yield* fix("--dangerous-do-rename")
      assert.deepStrictEqual([code, err], [0, ""])
      assert.include(out, "example.org: id 7 of 1970-01-01T00:00:00.000000030Z renamed to example.org.dup-7.invalid\n")
      const left = ["example.org.dup-7.invalid", "example.org.dup-9.invalid", "old.example.dup-4.invalid"]
      assert.match(out, new RegExp(`\\n\\n {4}${[...left, "same.example.dup-11.invalid"].join("\\n {4}")}\\n$`))
      const after = new Map((yield* list).map((entry) => [entry.key, entry]))
      const renamed = [
        ["example.org", 7],
        ["example.org", 9],
        ["same.example", 11]
      ] as const
      for (const [name, id] of renamed) {
        const tombstone = after.get(zoneKey(name, id))!
        const live = after.get(zoneKey(`${name}.dup-${id}.invalid`, id))!
        assert.deepStrictEqual([tombstone.isDeleted, live.isDeleted], [true, false], `${name} ${id}`)
        assert.isTrue(tombstone.time > zones.find((zone) => zone.id === id)!.time)
        assert.deepStrictEqual([live.time, live.transaction], [tombstone.time, 2n])
        after.delete(tombstone.key)
        after.delete(live.key)
      }
      const touched = new Set(renamed.map(([name, id]) => zoneKey(name, id)))
      assert.deepStrictEqual(
        Array.from(after.values()),
        before.filter(({ key }) => !touched.has(key))
      )
      const again = yield* fix("--dangerous-do-rename")
      assert.match(again.out, /^There are no duplicate zones\n/)
      assert.include(again.out, "    same.example.dup-11.invalid\n")
      assert.notInclude(again.out, "Nothing was changed")
    })
  )

  it.effect("refuses another schema, another database, and keys that it does not know", () =>
    Effect.gen(function* () {
      const other = yield* withZones(zones, "00000006")
      const before = yield* other.list
      const refused = yield* other.fix("--dangerous-do-rename")
      assert.strictEqual(refused.code, 1)
      assert.match(refused.err, /Cannot fix duplicate domains.*the schema version is 6: only version 5/)
      assert.deepStrictEqual(yield* other.list, before)
      yield* other.application.write({ do: "remove", dbi: "pdns", key: hex("schemaversion") })
      assert.match((yield* other.fix()).err, /has no key .*schemaversion/)
      yield* other.application.write({ do: "drop", dbi: "domains_v5_0" })
      assert.match((yield* other.fix()).err, /there is no DBI .*domains_v5_0.*not the main database/)
      const odd = yield* withZones(zones)
      yield* odd.application.write({ do: "put", dbi: "domains_v5_0", key: "00ff", value: native("", 1n) })
      assert.match((yield* odd.fix("--dangerous-do-rename")).err, /key 0x00ff: not a name and an id/)
      assert.lengthOf(yield* odd.list, zones.length + 1)
    })
  )
})
