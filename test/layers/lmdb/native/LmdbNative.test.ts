/** The contract, and what another process or the file system can do to a real environment: each hazard once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as DbiFlags from "../../../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import { readMeta } from "../../../../src/layers/lmdb/native/DataFile.ts"
import * as GarbageCollectorV8 from "../../../../src/layers/memory/GarbageCollectorV8.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { GarbageCollector } from "../../../../src/services/GarbageCollector.ts"
import { Lmdb, type LmdbOptions, type ReadTransaction, type WriteTransaction } from "../../../../src/services/Lmdb.ts"
import * as LmdbApplication from "../../../support/fakes/LmdbApplication.ts"
import { suite } from "../../../contracts/lmdb-contract.ts"
import { directory, make, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { warningsOf } from "../../../support/Warnings.ts"

suite("native", make)

const a = DbiName.fromText("a")
const b = DbiName.fromText("b")

const hex = (text: string) => Buffer.from(text, "latin1").toString("hex")

const put = (transaction: WriteTransaction, dbi: DbiName.DbiName, key: string, value: string) =>
  transaction.put(dbi, Buffer.from(key), 0, key.length, Buffer.from(value), 0, value.length, false)

const change = (use: (transaction: WriteTransaction) => void) =>
  Effect.flatMap(Lmdb, ({ write }) => write((transaction) => Effect.sync(() => use(transaction))))

const view = <A>(use: (transaction: ReadTransaction) => A) =>
  Effect.flatMap(Lmdb, ({ read }) => Effect.scoped(Effect.map(read, use)))

const firstValue = (transaction: ReadTransaction, dbi: DbiName.DbiName): string => {
  const cursor = transaction.cursor(dbi)
  assert.isTrue(cursor.next())
  return Buffer.from(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)).toString("latin1")
}

const countOf = (transaction: ReadTransaction, dbi: DbiName.DbiName): number => {
  const cursor = transaction.cursor(dbi)
  let count = 0
  while (cursor.next()) count++
  return count
}

/** In a fresh directory: the file, and the application that made it with DBI "a". */
const withApplication = <A, E>(
  use: (
    file: string,
    application: Effect.Success<ReturnType<typeof LmdbApplication.make>>
  ) => Effect.Effect<A, E, Lmdb>,
  { mapSize = 2 ** 24, options = {} }: { readonly mapSize?: number; readonly options?: Partial<LmdbOptions> } = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = path.join(yield* directory, "lmdb")
      const application = yield* LmdbApplication.make({ path: file, mapSize })
      yield* application.write(
        { do: "create", dbi: "a", flags: 0 },
        { do: "put", dbi: "a", key: hex("k"), value: hex("v") }
      )
      return yield* Effect.provide(
        use(file, application),
        LmdbNative.layerWith(optionsOf(file, { create: false, ...options }))
      )
    })
  )

describe("LmdbNative: ids", () => {
  it.live("the id of a view is its own, while another process commits without a pause", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* application.write(
          { do: "put", dbi: "a", key: hex("id"), value: hex("2") },
          { do: "remove", dbi: "a", key: hex("k") }
        )
        yield* application.send({ do: "count", dbi: "a", millis: 1_500 })
        const end = performance.now() + 1_200
        const ids = new Set<bigint>()
        while (performance.now() < end) {
          // Each of its transactions writes its own id: the first is the one of the step above.
          ids.add(
            yield* view((transaction) => {
              assert.strictEqual(firstValue(transaction, a), String(transaction.id))
              return transaction.id
            })
          )
        }
        assert.isAbove(ids.size, 20)
      })
    )
  )
})

/**
 * As when a commit waits for the disk: its meta page is written (with O_DSYNC), and views begin with the one before.
 * Page size 4096; the id is at byte 128 of the meta, after the page header of 16 bytes. Source: liblmdb,
 * mdb_env_write_meta.
 */
const writeMetaAhead = (file: string, last: bigint) => {
  const [page, offset] = [4096, 16 + 128]
  const fd = fs.openSync(file, "r+")
  try {
    const newest = Buffer.alloc(page)
    fs.readSync(fd, newest, 0, page, Number(last & 1n) * page)
    assert.strictEqual(newest.readBigUInt64LE(offset), last)
    newest.writeBigUInt64LE(last + 1n, offset)
    fs.writeSync(fd, newest, 16, offset + 8 - 16, Number((last + 1n) & 1n) * page + 16)
  } finally {
    fs.closeSync(fd)
  }
}

describe("LmdbNative: a commit of another process that waits for the disk", () => {
  it.live("is not the last one before a view has it", () =>
    withApplication(
      Effect.fnUntraced(function* (file, application) {
        const { info, lastTransactionId } = yield* Lmdb
        assert.strictEqual(yield* lastTransactionId, 1n)
        writeMetaAhead(file, 1n)
        assert.strictEqual(yield* view(({ id }) => id), 1n)
        assert.strictEqual(yield* lastTransactionId, 1n)
        assert.strictEqual((yield* info).lastTransactionId, 1n)
        yield* application.write({ do: "put", dbi: "a", key: hex("k"), value: hex("w") })
        assert.strictEqual(yield* lastTransactionId, 2n)
        assert.strictEqual(yield* view(({ id }) => id), 2n)
      })
    )
  )

  it.live("is the last one when there is no slot for a view", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        const application = yield* LmdbApplication.make({ path: file, mapSize: 2 ** 24, maxReaders: 1 })
        yield* application.write({ do: "create", dbi: "a", flags: 0 })
        yield* application.send({ do: "view" })
        yield* Effect.provide(
          Effect.gen(function* () {
            const { lastTransactionId } = yield* Lmdb
            assert.strictEqual((yield* Effect.flip(view(() => {}))).reason._tag, "ReadersFull")
            assert.strictEqual(yield* lastTransactionId, 1n)
          }),
          LmdbNative.layerWith(optionsOf(file, { create: false }))
        )
      })
    )
  )
})

/** The map size in the file. */
const stored = (file: string) => readMeta(file)!.mapSize

const warningsOfOpening = (mapSize: number) => warningsOf(withApplication(() => Effect.void, { options: { mapSize } }))

describe("LmdbNative: the map", () => {
  it.live("keeps the size that the file has when none is configured, also by our commits", () =>
    withApplication(
      Effect.fnUntraced(function* (file) {
        const { info } = yield* Lmdb
        assert.strictEqual((yield* info).mapSize, 48 * 2 ** 20)
        yield* change((transaction) => put(transaction, a, "k", "ours"))
        yield* change((transaction) => put(transaction, a, "k", "again"))
        assert.strictEqual(stored(file), 48 * 2 ** 20)
      }),
      { mapSize: 48 * 2 ** 20 }
    )
  )

  it.live("is used by the meta pages, the root and the DBIs", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = `${yield* directory}/lmdb`
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* change((transaction) => transaction.create(a, 0))
            const { info } = yield* Lmdb
            const { pageSize, used } = yield* info
            assert.strictEqual(used, 3 * pageSize)
            yield* change((transaction) => put(transaction, a, "k", "v".repeat(2 * pageSize)))
            // The root and the list of the one page that was freed have a page each, the DBI one and the value three.
            assert.strictEqual((yield* info).used, 8 * pageSize)
          }),
          LmdbNative.layerWith(optionsOf(file))
        )
      })
    )
  )

  it.live("has 1 GiB when the file is made", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        yield* Effect.provide(
          change((transaction) => transaction.create(a, 0)),
          LmdbNative.layerWith(optionsOf(file))
        )
        assert.strictEqual(stored(file), 2 ** 30)
      })
    )
  )

  it.live("warns when the configured size is another than the file's, with both", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* warningsOfOpening(0), [])
      assert.deepStrictEqual(yield* warningsOfOpening(2 ** 24), [])
      for (const other of [2 ** 23, 2 ** 25]) {
        const [warning] = yield* warningsOfOpening(other)
        assert.include(warning, `options.map_size is ${other} bytes, but the file has ${2 ** 24}`)
      }
    })
  )

  it.live("that another process enlarged keeps the larger size when we commit", () =>
    withApplication(
      Effect.fnUntraced(function* (file) {
        const larger = yield* LmdbApplication.make({ path: file, mapSize: 2 ** 25 })
        yield* larger.write({ do: "put", dbi: "a", key: hex("l"), value: hex("v") })
        yield* change((transaction) => put(transaction, a, "k", "ours"))
        assert.strictEqual(stored(file), 2 ** 25)
      }, Effect.scoped)
    )
  )

  it.live("that another process enlarged is not called full when ours is", () =>
    withApplication(
      Effect.fnUntraced(function* (file) {
        const larger = yield* LmdbApplication.make({ path: file, mapSize: 2 ** 25 })
        yield* larger.write({ do: "put", dbi: "a", key: hex("l"), value: hex("v") })
        const value = Buffer.alloc(2 ** 24)
        const error = yield* Effect.flip(
          change((transaction) => transaction.put(a, Buffer.from("m"), 0, 1, value, 0, value.length, false))
        )
        assert.strictEqual(error.reason._tag, "MapResized")
      }, Effect.scoped)
    )
  )
})

describe("LmdbNative: locks", () => {
  it.live("a write waits for the application's, and counts only the time that it holds the lock itself", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* view(() => {})
        yield* application.send({ do: "holdFor", millis: 300 })
        const begun = performance.now()
        const { id, lockHeldMillis } = yield* change((transaction) => put(transaction, a, "k", "ours"))
        // Of the 300 ms, some are gone before the write asks. However long it takes itself, what it waited is not in
        // the time of the lock.
        assert.isAtLeast(performance.now() - begun - lockHeldMillis, 200)
        // The application wrote nothing: its id was used again.
        assert.strictEqual(id, 2n)
      })
    )
  )

  it.live("reading takes no lock, once the handles are open", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        const { info, lastTransactionId } = yield* Lmdb
        yield* view(() => {})
        yield* application.send({ do: "hold" })
        // It would block this thread, and the application could never be told to released.
        yield* view((transaction) => assert.strictEqual(firstValue(transaction, a), "v"))
        assert.strictEqual(yield* lastTransactionId, 1n)
        yield* info
        yield* application.send({ do: "letGo" })
      })
    )
  )

  it.live("a process that was killed with the lock in hand does not keep it", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* view(() => {})
        yield* application.send({ do: "hold" })
        yield* application.kill
        yield* change((transaction) => put(transaction, a, "k", "ours"))
        yield* view((transaction) => assert.strictEqual(firstValue(transaction, a), "ours"))
      })
    )
  )

  it.live("of this process stay, whatever was read of the file: nothing opens the lock file", () =>
    withApplication(
      Effect.fnUntraced(function* (file) {
        const { info, lastTransactionId } = yield* Lmdb
        yield* lastTransactionId
        yield* info
        LmdbNative.identityOf(optionsOf(file))
        yield* change((transaction) => put(transaction, a, "k", "ours"))
        const { ino } = fs.statSync(`${file}-lock`)
        const held = fs
          .readFileSync("/proc/locks", "utf8")
          .split("\n")
          .filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${ino} `))
        assert.isNotEmpty(held)
      })
    )
  )

  it.live("slots for readers that are all taken are an error that says how many there are", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        const application = yield* LmdbApplication.make({ path: file, mapSize: 2 ** 24, maxReaders: 1 })
        yield* application.send({ do: "view" })
        const error = yield* Effect.flip(
          Effect.provide(
            view(() => {}),
            LmdbNative.layerWith(optionsOf(file, { create: false }))
          )
        )
        assert.strictEqual(error.reason._tag, "ReadersFull")
        assert.include(error.message, "all 1 reader slots")
      })
    )
  )
})

describe("LmdbNative: the root", () => {
  it.live("entries that are no DBI are left out, with one warning for all", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* application.write(
          { do: "root", key: hex("plain"), value: hex("a value") },
          // As a record of a DBI would be.
          { do: "root", key: hex("forty-eight"), value: "00".repeat(48) },
          { do: "root", key: "00ff", value: "" }
        )
        const warnings = yield* warningsOf(
          Effect.gen(function* () {
            for (let i = 0; i < 3; i++) {
              yield* view((transaction) =>
                assert.deepStrictEqual(
                  transaction.dbis.map(({ name }) => name),
                  [a]
                )
              )
              yield* change((transaction) => {
                assert.deepStrictEqual(
                  transaction.dbis().map(({ name }) => name),
                  [a]
                )
                put(transaction, a, "k", String(i))
              })
            }
          })
        )
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], "3 of the root's entries are no DBI and are ignored")
        for (const name of ["plain", "forty-eight", "0x00ff"]) assert.include(warnings[0], `"${name}"`)
      })
    )
  )

  it.live("more DBIs than max_dbs are refused, with the setting to raise", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* view(() => {})
        yield* application.write({ do: "create", dbi: "b", flags: 0 })
        const error = yield* Effect.flip(view(() => {}))
        assert.include(error.message, "MDB_DBS_FULL: more than 1 DBIs: raise options.max_dbs")
      }),
      { options: { maxDbs: 1 } }
    )
  )

  it.live("handles of DBIs that are gone make room for others", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        for (let i = 0; i < 5; i++) {
          yield* view((transaction) => assert.strictEqual(transaction.dbis.length, 1))
          yield* application.write(
            { do: "drop", dbi: i === 0 ? "a" : `n${i}` },
            { do: "create", dbi: `n${i + 1}`, flags: 0 }
          )
        }
        yield* change((transaction) => put(transaction, DbiName.fromText("n5"), "k", "v"))
      }),
      { options: { maxDbs: 1 } }
    )
  )
})

/** Makes the last pointer of each branch page point beyond the file. Source: MDB_page and MDB_node in LMDB's mdb.c. */
const breakBranches = (file: string, pageSize: number) => {
  const bytes = fs.readFileSync(file)
  const fd = fs.openSync(file, "r+")
  for (let page = 0; page < bytes.length; page += pageSize) {
    const isBranch = bytes.readUInt16LE(page + 10) === 1
    const pointers = (bytes.readUInt16LE(page + 12) - 16) / 2
    if (!isBranch) continue
    const node = page + bytes.readUInt16LE(page + 16 + 2 * (pointers - 1))
    fs.writeSync(fd, Buffer.from("ffffff0f", "hex"), 0, 4, node)
  }
  fs.closeSync(fd)
}

describe("LmdbNative: a damaged file", () => {
  it.live("is an error where the damage is, and no end of the entries", () =>
    withApplication(
      Effect.fnUntraced(function* (file, application) {
        yield* application.write({ do: "fill", dbi: "a", entries: 5_000, bytes: 50 })
        const { info, read } = yield* Lmdb
        breakBranches(file, (yield* info).pageSize)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const cursor = (yield* read).cursor(a)
            let count = 0
            assert.throws(() => {
              while (cursor.next()) count++
            }, "MDB_PAGE_NOTFOUND")
            assert.isAbove(count, 1_000)
            assert.isFalse(cursor.next())
          })
        )
      })
    )
  )
})

describe("LmdbNative: handles that close under a walk", () => {
  const many = { do: "fill", dbi: "a", entries: 5_000, bytes: 50 } as const

  it.live("a walk goes on while the application drops its DBI, makes it again with other flags, and we open that", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* application.write(many)
        const { read } = yield* Lmdb
        yield* Effect.scoped(
          Effect.gen(function* () {
            const old = yield* read
            const walked = old.cursor(a)
            const notBegun = old.cursor(a, Buffer.from("00001000"))
            for (let i = 0; i < 100; i++) walked.next()
            yield* application.write(
              { do: "drop", dbi: "a" },
              { do: "create", dbi: "a", flags: DbiFlags.REVERSEKEY },
              many
            )
            yield* change((transaction) => put(transaction, a, "x", "y"))
            // The old handle is nobody's but the cursor's any more.
            yield* Effect.provide(
              Effect.flatMap(GarbageCollector, ({ collect }) => collect),
              GarbageCollectorV8.layer
            )
            yield* Effect.sleep(1)
            let rest = 0
            while (walked.next()) rest++
            assert.strictEqual(rest, 5_001 - 100)
            // These would look for a key in the order of the new DBI.
            assert.throws(() => notBegun.next(), "was dropped before a cursor looked for a key")
            assert.throws(() => old.cursor(a), "dropped DBI")
            yield* view((transaction) => assert.strictEqual(countOf(transaction, a), 5_001))
          })
        )
      })
    )
  )

  it.live("a walk of before goes on while the transaction drops the DBI and makes another in its place", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        yield* application.write(many)
        yield* change((transaction) => {
          const cursor = transaction.before.cursor(a)
          for (let i = 0; i < 100; i++) cursor.next()
          transaction.drop(a)
          transaction.create(b, DbiFlags.DUPSORT)
          let moved = 0
          while (cursor.next()) {
            transaction.put(
              b,
              cursor.key,
              cursor.keyStart,
              cursor.keyEnd,
              cursor.value,
              cursor.valueStart,
              cursor.valueEnd,
              true
            )
            moved++
          }
          assert.strictEqual(moved, 5_001 - 100)
        })
        yield* view((transaction) => assert.deepStrictEqual(transaction.dbis, [{ name: b, flags: 4, entries: 4_901 }]))
      })
    )
  )

  it.live("a DBI that was made in a transaction that was interrupted leaves no handle behind", () =>
    withApplication(
      Effect.fnUntraced(function* (_file, application) {
        const { write } = yield* Lmdb
        const fiber = yield* Effect.forkChild(
          write((transaction) => {
            transaction.create(b, 0)
            return Effect.never
          })
        )
        yield* Effect.sleep(20)
        yield* Fiber.interrupt(fiber)
        // With the same flags: only its number tells that the handle is not the one of this DBI.
        yield* application.write(
          { do: "create", dbi: "c", flags: 0 },
          { do: "create", dbi: "b", flags: 0 },
          { do: "put", dbi: "b", key: hex("k"), value: hex("1") }
        )
        yield* view((transaction) => assert.strictEqual(firstValue(transaction, b), "1"))
        yield* change((transaction) => put(transaction, b, "j", "2"))
        const { entries } = yield* application.send({ do: "list", dbi: "b" })
        assert.deepStrictEqual(entries, [
          [hex("j"), hex("2")],
          [hex("k"), hex("1")]
        ])
      })
    )
  )
})
