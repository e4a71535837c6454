/** Temporary files of stores that were cut off: the next store, of any process, removes them by their age. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Clock, Context, Effect, FileSystem, Layer, Logger, PlatformError } from "effect"
import { TestClock } from "effect/testing"
import { lineOf } from "../../../src/layers/logs/Logs.ts"
import type { Line } from "../../../src/layers/logs/LogsFormat.ts"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { textOf } from "../../contracts/storage-contract.ts"

const storageIn = (root: string) =>
  Effect.map(Layer.build(StorageFs.layerWith({ root_path: root })), (context) => Context.get(context, Storage))

const fixture = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "fs-temporary-" })
  const now = yield* TestClock.withLive(Clock.currentTimeMillis)
  /** Last written to so many minutes ago. */
  const leave = Effect.fnUntraced(function* (name: string, minutes: number) {
    const written = now / 1_000 - minutes * 60
    yield* fs.writeFileString(`${root}/${name}`, "half a snapshot")
    yield* fs.utimes(`${root}/${name}`, written, written)
  })
  const names = Effect.map(fs.readDirectory(root), (names) => names.toSorted())
  return { fs, root, leave, names }
})

/** What the effect logs. */
const logged = Effect.fnUntraced(function* <E, R>(effect: Effect.Effect<unknown, E, R>) {
  const lines: Array<Pick<Line, "level" | "message" | "fields">> = []
  const logger = Logger.make((options) => {
    const { fields, level, message } = lineOf(options, { secondsSinceStart: 1, stacks: false })
    lines.push({ level, message, fields })
  })
  yield* Effect.provide(effect, Logger.layer([logger]))
  return lines
})

layer(NodeFileSystem.layer)("FsTemporaryFiles", (it) => {
  it.effect("a store removes those of an hour ago, of whichever process, and nothing else", () =>
    Effect.gen(function* () {
      const { fs, leave, names, root } = yield* fixture
      yield* leave(".2k8z1q4m0.tmp", 61)
      yield* leave(".0.tmp", 100_000)
      for (const young of [".1aa.tmp", ".2bb.tmp"]) yield* leave(young, 59)
      const others = ["object", "theirs.tmp", ".hidden", ".Notes.tmp", ".2k8z1q4m0xyz.tmp", ".a-b.tmp"]
      for (const other of others) yield* leave(other, 100_000)
      yield* fs.makeDirectory(`${root}/.directory.tmp`)
      yield* fs.symlink(`${root}/object`, `${root}/.link.tmp`)
      const storage = yield* storageIn(root)
      yield* storage.list("")
      assert.include(yield* names, ".0.tmp")
      const lines = yield* logged(storage.store("new", textOf("x")))
      assert.deepStrictEqual(
        yield* names,
        [...others, "new", ".1aa.tmp", ".2bb.tmp", ".directory.tmp", ".link.tmp"].toSorted()
      )
      assert.deepStrictEqual(lines, [
        {
          level: "Info",
          message: "Removed temporary files of interrupted stores",
          fields: { removed: 2, directory: root }
        }
      ])
    })
  )

  it.effect("a process looks for them once an hour", () =>
    Effect.gen(function* () {
      const { leave, names, root } = yield* fixture
      const storage = yield* storageIn(root)
      yield* storage.store("one", textOf("x"))
      yield* leave(".old.tmp", 61)
      yield* storage.store("two", textOf("x"))
      yield* TestClock.adjust("59 minutes")
      yield* storage.store("three", textOf("x"))
      assert.include(yield* names, ".old.tmp")
      yield* TestClock.adjust("1 minute")
      yield* storage.store("four", textOf("x"))
      assert.deepStrictEqual(yield* names, ["four", "one", "three", "two"])
    })
  )

  it.effect("one that cannot be removed is warned about, and the object is stored", () =>
    Effect.gen(function* () {
      const { fs, leave, names, root } = yield* fixture
      yield* leave(".old.tmp", 61)
      const error = PlatformError.systemError({
        _tag: "PermissionDenied",
        module: "FileSystem",
        method: "remove",
        pathOrDescriptor: `${root}/.old.tmp`
      })
      const refusing = FileSystem.FileSystem.of({
        ...fs,
        remove: (path, options) => (path.endsWith(".old.tmp") ? Effect.fail(error) : fs.remove(path, options))
      })
      const storage = yield* Effect.provideService(storageIn(root), FileSystem.FileSystem, refusing)
      const lines = yield* logged(storage.store("one", textOf("x")))
      assert.deepStrictEqual(yield* names, [".old.tmp", "one"])
      assert.deepStrictEqual(
        lines.map(({ level, message }) => [level, message]),
        [["Warn", "Cannot remove temporary files of interrupted stores"]]
      )
      assert.include(String(lines[0]?.fields["error"]), ".old.tmp")
    })
  )
})
