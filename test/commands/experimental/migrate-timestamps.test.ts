/** `experimental migrate-timestamps` as a process, on an LMDB that an application has open. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Application from "../../support/Application.ts"
import { bundle, runBundled, workspace } from "../../support/Command.ts"
import { folderBucket, nativeFile } from "../../support/Daemon.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"

const { hex, native } = Application

/** DBIs with their entries: key as text, value in hexadecimal. */
type Dbis = Readonly<Record<string, Readonly<Record<string, string>>>>

const withDbis = Effect.fnUntraced(function* (dbis: Dbis) {
  yield* bundle
  const { directory } = yield* workspace((directory) => ({
    lmdbs: { shard: nativeFile(`${directory}/shard.lmdb`) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  const application = yield* LmdbApplication.make({ path: `${directory}/shard.lmdb`, mapSize: 2 ** 20 })
  let last = 0n
  for (const [dbi, entries] of Object.entries(dbis)) {
    const puts = Object.entries(entries).map(([key, value]) => ({ do: "put", dbi, key: hex(key), value }) as const)
    last = yield* application.write({ do: "create", dbi, flags: 0 }, ...puts)
  }
  const list = (dbi: string) =>
    Effect.map(application.send({ do: "list", dbi }), ({ entries }) =>
      Object.fromEntries(entries.map(([key, value]) => [Buffer.from(key, "hex").toString(), value]))
    )
  const migrate = (...args: ReadonlyArray<string>) =>
    runBundled(["experimental", "migrate-timestamps", "-d", "shard", ...args], { cwd: directory })
  return { list, migrate, last }
})

const time = (nanos: bigint) => nanos.toString(16).padStart(16, "0")

/** With the time of a source and the id of the transaction. */
const migrated = (value: string, nanos: bigint, transaction: bigint) =>
  time(nanos) + time(transaction) + value.slice(32)

const names = ["--src-dbi", "src", "--dst-dbi", "dst"]

layer(NodeServices.layer, { excludeTestServices: true })("experimental migrate-timestamps", (it) => {
  it.effect("gives an older entry the time of the source, and leaves values, flags and newer entries", () =>
    Effect.gen(function* () {
      const block = `${native("", 3n).slice(0, 44)}0001${"ab".repeat(8)}76616c7565`
      const dst = {
        block,
        dead: native("", 4n, true),
        newer: native("x", 9n),
        older: native("y", 5n),
        other: native("z", 1n),
        same: native("s", 7n)
      }
      const { last, list, migrate } = yield* withDbis({
        src: {
          block: time(0x1_0000_0001n),
          dead: native("alive here", 8n),
          gone: native("", 9n, true),
          newer: native("", 8n),
          older: `${time(2n ** 63n)}ffff`,
          same: native("", 7n)
        },
        dst
      })
      const { code, err, out } = yield* migrate(...names)
      assert.strictEqual(code, 0, err)
      assert.strictEqual(out, "")
      assert.match(err, /Migrated timestamps.*updated=3.*added=0|Migrated timestamps.*added=0.*updated=3/)
      assert.deepStrictEqual(yield* list("dst"), {
        ...dst,
        block: migrated(block, 0x1_0000_0001n, last + 1n),
        dead: migrated(dst.dead, 8n, last + 1n),
        older: migrated(dst.older, 2n ** 63n, last + 1n)
      })
    })
  )

  it.effect("adds tombstones that the destination does not have, from native headers and from release 0.2", () =>
    Effect.gen(function* () {
      const live = `${time(6n)}${"00".repeat(9)}01${"00".repeat(6)}`
      const { last, list, migrate } = yield* withDbis({
        src: { gone: native("", 9n, true), here: native("", 3n, true), live: native("x", 4n), short: time(8n) },
        _sync_old: { live, gone: time(7n), lost: time(2n) },
        dst: { here: native("z", 5n) }
      })
      const tombstone = (nanos: bigint, transaction: bigint) => migrated(native("", 0n, true), nanos, transaction)
      const added = yield* migrate(...names, "--add-delete-entries")
      assert.strictEqual(added.code, 0, added.err)
      const first = { gone: tombstone(9n, last + 1n), here: native("z", 5n), short: tombstone(8n, last + 1n) }
      assert.deepStrictEqual(yield* list("dst"), first)
      // A live value of 0.2 looks like a native tombstone there, and is none.
      const old = yield* migrate("--src-dbi", "_sync_old", "--dst-dbi", "dst", "--add-delete-entries")
      assert.strictEqual(old.code, 0, old.err)
      assert.deepStrictEqual(yield* list("dst"), { ...first, lost: tombstone(2n, last + 2n) })
    })
  )

  it.effect("undoes everything at a value that is too short, or without a header", () =>
    Effect.gen(function* () {
      const dbis = {
        src: { a: time(9n), b: "00".repeat(7), c: "00".repeat(9) },
        dst: { a: native("x", 1n), b: native("y", 1n) },
        bare: { a: native("x", 1n), b: "00" }
      }
      const { list, migrate } = yield* withDbis(dbis)
      const short = yield* migrate(...names)
      assert.strictEqual(short.code, 1)
      assert.match(
        short.err,
        /Cannot migrate timestamps.*src.*key 0x62: the value is shorter than a timestamp of 8 bytes/
      )
      const bare = yield* migrate("--src-dbi", "dst", "--dst-dbi", "bare")
      assert.match(bare.err, /bare.*key 0x62: the value is shorter than its header/)
      const other = yield* migrate("--src-dbi", "src", "--dst-dbi", "empty", "--add-delete-entries")
      assert.match(other.err, /empty.*cannot be used: it does not exist/)
      assert.deepStrictEqual([bare.code, other.code], [1, 1])
      assert.deepStrictEqual([yield* list("dst"), yield* list("bare")], [dbis.dst, dbis.bare])
    })
  )

  it.effect(
    "a source that is not there is an error, or a warning when that is asked for; two equal DBIs are wrong",
    () =>
      Effect.gen(function* () {
        const { migrate } = yield* withDbis({ dst: { a: native("x", 1n) } })
        const missing = yield* migrate(...names)
        assert.strictEqual(missing.code, 1)
        assert.match(missing.err, /src.*cannot be used: it does not exist/)
        const ignored = yield* migrate(...names, "--ignore-src-dbi-not-present")
        assert.strictEqual(ignored.code, 0)
        assert.match(ignored.err, /level=warning.*There is no source DBI: nothing was migrated/)
        const same = yield* migrate("--src-dbi", "dst", "--dst-dbi", "dst")
        assert.strictEqual(same.code, 2)
        assert.match(same.err, /--src-dbi and --dst-dbi are both "dst"/)
        const required = yield* migrate("--src-dbi", "dst")
        assert.strictEqual(required.code, 2)
        assert.match(required.err, /dst-dbi/)
      })
  )
})
