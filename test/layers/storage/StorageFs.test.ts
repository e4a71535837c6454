/**
 * `StorageFs`: the contract, and what is particular to directories. Permissions can't be taken from root, so
 * directories that nobody can write stand in.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, FileSystem, Layer, PlatformError, Stream } from "effect"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import { type Source, Storage } from "../../../src/services/Storage.ts"
import { read, suite, textOf } from "../../contracts/storage-contract.ts"

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "storage-fs-" })
)

const inTemporaryFolder = Layer.unwrap(
  Effect.map(temporaryFolder, (directory) => StorageFs.layerWith({ root_path: `${directory}/made/with/parents` }))
)

suite("fs", Layer.provide(inTemporaryFolder, NodeFileSystem.layer))

const storageIn = (root: string) =>
  Effect.map(Layer.build(StorageFs.layerWith({ root_path: root })), (context) => Context.get(context, Storage))

it.layer(NodeFileSystem.layer)("StorageFs", (it) => {
  it.effect("what is not ours is neither listed nor read, and can't be stored", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      const storage = yield* storageIn(root)
      for (const name of [".hidden", "half.tmp", "ours"]) yield* fs.writeFileString(`${root}/${name}`, "x")
      yield* fs.makeDirectory(`${root}/directory`)
      yield* fs.symlink(`${root}/ours`, `${root}/link`)
      yield* fs.symlink(`${root}/nowhere`, `${root}/dangling`)
      assert.deepStrictEqual(
        (yield* storage.list("")).map(({ name }) => name),
        ["ours"]
      )
      for (const name of [".hidden", "half.tmp", "directory", "link", "dangling", "../ours", "", "a\0b"]) {
        const error = yield* Effect.flip(Stream.runDrain(storage.load(name)))
        assert.strictEqual(error.reason._tag, "ObjectNotFound", name)
      }
      for (const name of [".hidden", "half.tmp", "../ours", "a/b", ""]) {
        const error = yield* Effect.flip(storage.store(name, textOf("y")))
        assert.deepInclude(error.reason, { _tag: "Refused", code: "InvalidName" }, name)
        yield* storage.delete(name)
      }
      assert.strictEqual(yield* fs.readFileString(`${root}/.hidden`), "x")
    })
  )

  it.effect("an object that is not there has vanished, one whose directory is gone cannot be had now", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = `${yield* temporaryFolder}/mount`
      yield* fs.makeDirectory(root)
      const storage = yield* storageIn(root)
      yield* storage.store("object", textOf("x"))
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(storage.load("other")))).reason._tag, "ObjectNotFound")
      yield* fs.remove(root, { recursive: true })
      const { reason } = yield* Effect.flip(Stream.runDrain(storage.load("object")))
      assert.deepInclude(reason, { _tag: "Refused", code: "ENOENT" })
    })
  )

  it.effect("a store is never seen half, in the directory or by a reader, and leaves no temporary file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      const storage = yield* storageIn(root)
      yield* storage.store("object", textOf("old"))
      const watching: Source<string, never> = {
        size: 6,
        read: () =>
          Stream.concat(
            Stream.succeed(new Uint8Array(Buffer.from("new"))),
            Stream.fromEffect(
              Effect.orDie(
                Effect.gen(function* () {
                  const entries = yield* fs.readDirectory(root)
                  assert.strictEqual(entries.length, 2)
                  assert.match(entries.find((name) => name !== "object") ?? "", /^\..*\.tmp$/)
                  assert.deepStrictEqual(
                    (yield* storage.list("")).map(({ name, size }) => [name, size]),
                    [["object", 3]]
                  )
                  assert.strictEqual(yield* fs.readFileString(`${root}/object`), "old")
                  return new Uint8Array(Buffer.from("est"))
                })
              )
            )
          )
      }
      yield* storage.store("object", watching)
      assert.strictEqual(yield* fs.readFileString(`${root}/object`), "newest")
      assert.isTrue(
        Exit.isFailure(yield* Effect.exit(storage.store("object", { size: 6, read: () => Stream.fail("broken") })))
      )
      assert.deepStrictEqual(yield* fs.readDirectory(root), ["object"])
    })
  )

  it.effect("a chunk that was written is released", () =>
    Effect.gen(function* () {
      const storage = yield* storageIn(yield* temporaryFolder)
      const chunks = [new Uint8Array(100_000).fill(1), new Uint8Array(100_000).fill(2)]
      yield* storage.store("object", { size: 200_000, read: () => Stream.fromIterable(chunks) })
      assert.deepStrictEqual(
        chunks.map(({ length }) => length),
        [0, 0]
      )
      const [stored] = yield* storage.list("")
      assert.strictEqual(stored?.size, 200_000)
    })
  )

  it.effect("a file that grows while it is read is not taken for whole", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      const storage = yield* storageIn(root)
      yield* fs.writeFile(`${root}/growing`, new Uint8Array(600_000))
      const grow = fs.writeFile(`${root}/growing`, new Uint8Array(10), { flag: "a" })
      const error = yield* Effect.flip(Stream.runForEach(storage.load("growing"), () => Effect.orDie(grow)))
      assert.strictEqual(error.reason._tag, "WrongSize")
    })
  )

  it.effect("files are readable by others as the umask says", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      yield* (yield* storageIn(root)).store("mode", textOf("x"))
      const { mode } = yield* fs.stat(`${root}/mode`)
      assert.strictEqual(mode & 0o777, 0o666 & ~process.umask())
    })
  )

  it.effect("a root path below a file is refused at once, with what to check", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      yield* fs.writeFileString(`${root}/file`, "")
      for (const path of [`${root}/file`, `${root}/file/below`]) {
        const error = yield* Effect.flip(storageIn(path))
        assert.strictEqual(error.reason._tag, "Refused", path)
        assert.strictEqual(error.operation, "create")
        assert.include(error.message, path)
        assert.include(error.message, "check root_path")
      }
    })
  )

  it.effect(
    "a root path in a directory that says of each new one that it is not there is refused at once, not tried forever",
    () =>
      Effect.gen(function* () {
        for (const path of ["/proc/nothing", "/proc/self/nothing/below"]) {
          const error = yield* Effect.flip(storageIn(path))
          assert.deepStrictEqual([error.reason._tag, error.operation], ["Refused", "create"])
          assert.include(error.message, path)
          assert.include(error.message, "Check root_path")
        }
      })
  )

  it.effect("a directory that can't be written is an error that names it", () =>
    Effect.gen(function* () {
      const storage = yield* storageIn("/proc/self/task")
      const error = yield* Effect.flip(storage.store("object", textOf("x")))
      assert.strictEqual(error.reason._tag, "Refused")
      assert.include(error.message, "/proc/self/task")
      assert.isTrue(error.retryable)
    })
  )

  it.effect("a full disk is unavailable, and says to free space", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const full = FileSystem.FileSystem.of({
        ...fs,
        // Every write to /dev/full fails with ENOSPC.
        open: (path, options) => (path.endsWith(".tmp") ? fs.open("/dev/full", { flag: "r+" }) : fs.open(path, options))
      })
      const storage = yield* Effect.provideService(
        Effect.flatMap(temporaryFolder, storageIn),
        FileSystem.FileSystem,
        full
      )
      const error = yield* Effect.flip(storage.store("object", textOf("x")))
      assert.deepInclude(error.reason, { _tag: "Unavailable", code: "ENOSPC" })
      assert.include(error.message, "free space")
    })
  )

  it.effect("a store is done when the file was synced, renamed then, and the directory synced after that", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      const done: Array<string> = []
      const recorded =
        (what: string) =>
        <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.tap(effect, () => Effect.sync(() => void done.push(what)))
      const recording = FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) =>
          Effect.map(fs.open(path, options), (file) => {
            const what = path === root ? "directory" : "file"
            return Object.create(file, {
              sync: { value: recorded(`${what} synced`)(file.sync) },
              writeAll: { value: (bytes: Uint8Array) => recorded("written")(file.writeAll(bytes)) }
            })
          }),
        rename: (from, to) => recorded("renamed")(fs.rename(from, to))
      })
      const storage = yield* Effect.provideService(storageIn(root), FileSystem.FileSystem, recording)
      yield* storage.store("object", textOf("x"))
      assert.deepStrictEqual(done, ["written", "file synced", "renamed", "directory synced"])
    })
  )

  it.effect("a store that fails leaves the earlier object, or the new one if only the directory sync has failed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      const failure = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "test" })
      const failing: Array<string> = []
      const failsIf = (what: string) => (failing.includes(what) ? Effect.fail(failure) : Effect.void)
      const faulty = FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) =>
          Effect.map(fs.open(path, options), (file) =>
            Object.create(file, {
              sync: { value: Effect.andThen(failsIf(path === root ? "directory sync" : "file sync"), file.sync) }
            })
          ),
        rename: (from, to) => Effect.andThen(failsIf("rename"), fs.rename(from, to))
      })
      const storage = yield* Effect.provideService(storageIn(root), FileSystem.FileSystem, faulty)
      yield* storage.store("object", textOf("old"))
      for (const [what, content] of [
        ["file sync", "old"],
        ["rename", "old"],
        ["directory sync", "new"]
      ] as const) {
        failing.splice(0, 1, what)
        const error = yield* Effect.flip(storage.store("object", textOf("new")))
        assert.strictEqual(error.reason._tag, "Unavailable", what)
        const bytes = yield* Effect.provideService(read("object"), Storage, storage)
        assert.strictEqual(bytes.toString(), content, what)
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["object"], what)
      }
    })
  )

  it.effect("a directory that went away is an error, not an empty store", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = `${yield* temporaryFolder}/mounted`
      const storage = yield* storageIn(root)
      yield* fs.remove(root, { recursive: true })
      assert.strictEqual((yield* Effect.flip(storage.list(""))).reason._tag, "Refused")
      assert.strictEqual((yield* Effect.flip(storage.store("object", textOf("x")))).reason._tag, "Refused")
      assert.isFalse(yield* fs.exists(root))
    })
  )
})

describe("StorageFs, read", () => {
  it.effect("an object of another process is read as it is", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporaryFolder
      yield* fs.writeFileString(`${root}/theirs`, "bytes")
      const bytes = yield* Effect.provideService(read("theirs"), Storage, yield* storageIn(root))
      assert.strictEqual(bytes.toString(), "bytes")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
