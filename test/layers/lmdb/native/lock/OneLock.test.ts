/**
 * Writers that do not hold our lock, and files that are overwritten: with real environments, and other processes that
 * write to them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as LmdbNative from "../../../../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb, type LmdbError } from "../../../../../src/services/Lmdb.ts"
import * as LmdbApplication from "../../../../support/fakes/LmdbApplication.ts"
import { directory, optionsOf } from "../../../../support/fakes/LmdbNativeSubject.ts"
import { a, change, entries, hex, put, view } from "../../../../support/fakes/LmdbSubject.ts"

type Application = Effect.Success<ReturnType<typeof LmdbApplication.make>>

const mapSize = 2 ** 24

const putStep = (key: string, value = "v") => ({ do: "put", dbi: "a", key: hex(key), value: hex(value) }) as const

/** The file with DBI "a" and nobody who has it open; its lock file is removed. */
const makeFile = Effect.fnUntraced(function* (file: string, steps: ReadonlyArray<LmdbApplication.Step> = []) {
  const application = yield* LmdbApplication.make({ path: file, mapSize })
  const last = yield* application.write({ do: "create", dbi: "a", flags: 0 }, ...steps)
  yield* application.kill
  fs.rmSync(`${file}-lock`)
  return last
}, Effect.scoped)

const opened = (file: string) => LmdbNative.layerWith(optionsOf(file, { create: false }))

const keysOf = (application: Application) =>
  Effect.map(application.send({ do: "list", dbi: "a" }), ({ entries }) =>
    entries.map(([key]) => Buffer.from(key, "hex").toString())
  )

/** We have the file open by a link, and the application by its own path. */
const withTwoLocks = <A, E>(
  use: (application: Application, lockFiles: readonly [own: string, other: string]) => Effect.Effect<A, E, Lmdb>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const top = yield* directory
      const [file, link] = [path.join(top, "file"), path.join(top, "link")]
      yield* makeFile(file)
      fs.symlinkSync(file, link)
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* view(() => {})
          const application = yield* LmdbApplication.make({ path: file, mapSize })
          yield* use(application, [`${link}-lock`, `${file}-lock`])
        }),
        opened(link)
      )
    })
  )

const assertBypassed = (error: LmdbError, lockFiles: readonly [string, string]) => {
  assert.strictEqual(error.reason._tag, "LockBypassed", error.message)
  assert.isFalse(error.retryable)
  for (const lockFile of lockFiles) assert.include(error.message, lockFile)
}

const mustNotRun = () => Effect.sync(() => assert.fail("the body has run"))

/** Of a look at the last id, of a view, and of a write transaction, whose body is not run. */
const failures = Effect.gen(function* () {
  const { lastTransactionId, write } = yield* Lmdb
  return [
    yield* Effect.flip(lastTransactionId),
    yield* Effect.flip(view(() => {})),
    yield* Effect.flip(write(mustNotRun))
  ]
})

/** Longer than a commit may be unfinished before it is looked at with the lock in hand. */
const overdue = "1100 millis"

describe("LmdbNative: a writer under another lock", () => {
  it.live("is noticed after two commits by everything that begins, and nothing is written", () =>
    withTwoLocks(
      Effect.fnUntraced(function* (application, lockFiles) {
        yield* application.write(putStep("one"))
        yield* application.write(putStep("two"))
        for (const error of yield* failures) {
          assertBypassed(error, lockFiles)
          assert.match(error.message, /that of process \d+ \(node\) is /)
        }
        assert.deepStrictEqual(yield* keysOf(application), ["one", "two"])
      })
    )
  )

  it.live("is noticed after a single commit: by a write at once, by polls when the commit is overdue", () =>
    withTwoLocks(
      Effect.fnUntraced(function* (application, lockFiles) {
        const { lastTransactionId, storedTransactionId } = yield* Lmdb
        yield* application.write(putStep("one"))
        assert.strictEqual(yield* lastTransactionId, 1n)
        assert.strictEqual(yield* storedTransactionId, 2n)
        assertBypassed(yield* Effect.flip(change((transaction) => put(transaction, a, "ours", "v"))), lockFiles)
        assert.strictEqual(yield* lastTransactionId, 1n)
        yield* Effect.sleep(overdue)
        assertBypassed(yield* Effect.flip(lastTransactionId), lockFiles)
        assert.deepStrictEqual(yield* keysOf(application), ["one"])
      })
    )
  )

  it.live("that commits during a write transaction of ours loses nothing: ours is given up", () =>
    withTwoLocks(
      Effect.fnUntraced(function* (application, lockFiles) {
        const { write } = yield* Lmdb
        const error = yield* Effect.flip(
          write((transaction) => {
            put(transaction, a, "ours", "v")
            return Effect.orDie(application.write(putStep("theirs")))
          })
        )
        assertBypassed(error, lockFiles)
        assert.deepStrictEqual(yield* keysOf(application), ["theirs"])
      })
    )
  )

  it.live(
    "that has the file open already is refused, though nothing beside the file tells: its lock file was removed",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const file = path.join(yield* directory, "file")
          const application = yield* LmdbApplication.make({ path: file, mapSize })
          yield* application.write({ do: "create", dbi: "a", flags: 0 })
          fs.rmSync(`${file}-lock`)
          // What was seen of processes when another database was opened is known for half a second.
          yield* Effect.sleep("600 millis")
          const error = yield* Effect.flip(Effect.provide(Effect.asVoid(Lmdb), opened(file)))
          assertBypassed(error, [`${file}-lock`, `${file}-lock (deleted)`])
        })
      )
  )
})

/**
 * As when a commit waits for the disk: its meta page is written (with O_DSYNC), and the lock file still has the id
 * before. Page size 4096; the id is at byte 128 of the meta, after the page header of 16 bytes. Source:
 * mdb_env_write_meta in LMDB's mdb.c.
 */
const writeMetaAhead = (file: string, last: bigint) => {
  const [page, offset] = [4096, 16 + 128]
  const fd = fs.openSync(file, "r+")
  const bytes = Buffer.alloc(page)
  fs.readSync(fd, bytes, 0, page, Number(last & 1n) * page)
  assert.strictEqual(bytes.readBigUInt64LE(offset), last)
  bytes.writeBigUInt64LE(last + 1n, offset)
  fs.writeSync(fd, bytes, 16, offset + 8 - 16, Number((last + 1n) & 1n) * page + 16)
  fs.closeSync(fd)
}

/** The application has the file open by the path that we have it open by. */
const withOneLock = <A, E>(use: (file: string, application: Application) => Effect.Effect<A, E, Lmdb>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = path.join(yield* directory, "file")
      const application = yield* LmdbApplication.make({ path: file, mapSize })
      yield* application.write({ do: "create", dbi: "a", flags: 0 })
      yield* Effect.provide(
        Effect.andThen(
          view(() => {}),
          use(file, application)
        ),
        opened(file)
      )
    })
  )

describe("LmdbNative: a commit that takes long", () => {
  it.live("on a slow disk is waited for, and is no error", () =>
    withOneLock(
      Effect.fnUntraced(function* (file, application) {
        const { lastTransactionId, storedTransactionId } = yield* Lmdb
        yield* application.send({ do: "holdFor", millis: 2_500, steps: [putStep("slow")] })
        writeMetaAhead(file, 1n)
        assert.strictEqual(yield* lastTransactionId, 1n)
        assert.strictEqual(yield* storedTransactionId, 2n)
        yield* Effect.sleep(overdue)
        assert.strictEqual(yield* lastTransactionId, 2n)
        yield* view((transaction) => assert.deepStrictEqual(entries(transaction, a), ["slow=v"]))
      })
    )
  )

  it.live("forever, since its process was killed in it, is taken up by whoever has the lock next", () =>
    withOneLock(
      Effect.fnUntraced(function* (file, application) {
        const { lastTransactionId } = yield* Lmdb
        yield* application.send({ do: "hold" })
        writeMetaAhead(file, 1n)
        yield* application.kill
        assert.strictEqual(yield* lastTransactionId, 1n)
        yield* Effect.sleep(overdue)
        assert.strictEqual(yield* lastTransactionId, 2n)
        assert.strictEqual((yield* change((transaction) => put(transaction, a, "ours", "v"))).id, 3n)
      })
    )
  )
})

describe("LmdbNative: the lock file", () => {
  for (const [what, harm] of [
    ["that was removed", (file: string) => fs.rmSync(file)],
    [
      "that was replaced",
      (file: string) => {
        fs.writeFileSync(`${file}-2`, "")
        fs.renameSync(`${file}-2`, file)
      }
    ]
  ] as const) {
    it.live(`${what} is noticed by everything that begins`, () =>
      withOneLock(
        Effect.fnUntraced(function* (file, application) {
          harm(`${file}-lock`)
          for (const { message, reason, retryable } of yield* failures) {
            assert.strictEqual(reason._tag, "LockReplaced")
            assert.isFalse(retryable)
            assert.include(message, `${file}-lock`)
          }
          assert.deepStrictEqual(yield* keysOf(application), [])
        })
      )
    )
  }
})

/** What is read of the file while nobody writes to it: as a backup would be. */
const many = Array.from({ length: 200 }, (_, i) => putStep(`key-${String(i).padStart(3, "0")}`, "v".repeat(100)))

const assertOverwritten = (words: string, found: ReadonlyArray<LmdbError>) => {
  for (const { message, reason, retryable } of found) {
    assert.strictEqual(reason._tag, "Replaced", message)
    assert.isFalse(retryable)
    assert.include(message, words)
  }
}

describe("LmdbNative: a data file that is overwritten in place", () => {
  it.live("by a shorter one is noticed before its pages are touched", () =>
    withOneLock(
      Effect.fnUntraced(function* (file, application) {
        const backup = fs.readFileSync(file)
        yield* application.write(...many)
        yield* view((transaction) => assert.lengthOf(entries(transaction, a), many.length))
        fs.writeFileSync(file, backup)
        assertOverwritten("its size went down from ", yield* failures)
        assert.isTrue(backup.equals(fs.readFileSync(file)))
        // In the middle of it: cp begins by emptying the file.
        fs.truncateSync(file)
        assertOverwritten("its size went down from ", yield* failures)
      })
    )
  )

  it.live("by one of the same size with an earlier transaction is noticed before anything is read or written", () =>
    withOneLock(
      Effect.fnUntraced(function* (file, application) {
        yield* application.write(...many)
        const backup = fs.readFileSync(file)
        for (let i = 0; i < 3; i++) yield* application.write(putStep("key-000", String(i)))
        yield* view((transaction) => assert.strictEqual(transaction.id, 5n))
        // In both, LMDB has the file open.
        fs.writeFileSync(file, Buffer.concat([backup, Buffer.alloc(fs.statSync(file).size - backup.length)]))
        assertOverwritten("its last transaction went back from 5 to 2", yield* failures)
        assert.isTrue(backup.equals(fs.readFileSync(file).subarray(0, backup.length)))
      })
    )
  )

  it.live("in the middle of a walk is noticed by a walk that goes on", () =>
    withOneLock(
      Effect.fnUntraced(function* (file, application) {
        yield* application.write({ do: "fill", dbi: "a", entries: 40_000, bytes: 10 })
        const { read } = yield* Lmdb
        const error = yield* Effect.scoped(
          Effect.gen(function* () {
            const cursor = (yield* read).cursor(a)
            // The next step is one at which it looks.
            for (let step = 1; step < 2 ** 15; step++) cursor.next()
            fs.truncateSync(file, 8192)
            return yield* Effect.flip(Effect.try({ try: () => cursor.next(), catch: (thrown) => thrown as LmdbError }))
          })
        )
        assertOverwritten("its size went down from ", [error])
      })
    )
  )

  it.live("while the application has another one open is refused at the start: their lock file is the same", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "file")
        yield* makeFile(file)
        fs.copyFileSync(file, `${file}-backup`)
        const application = yield* LmdbApplication.make({ path: file, mapSize })
        yield* application.write(putStep("one"))
        yield* application.write(putStep("two"))
        fs.renameSync(`${file}-backup`, file)
        const error = yield* Effect.flip(
          Effect.provide(
            view(() => {}),
            opened(file)
          )
        )
        assertOverwritten("its last transaction went back from 3 to 1", [error])
      })
    )
  )
})
