/**
 * By which paths a data file is opened, with a warning or without, and by which it is refused before LMDB makes a lock
 * file beside them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as LmdbNative from "../../../../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb, type LmdbOptions } from "../../../../../src/services/Lmdb.ts"
import { directory, optionsOf } from "../../../../support/fakes/LmdbNativeSubject.ts"
import { a, change } from "../../../../support/fakes/LmdbSubject.ts"

const make = (file: string, options: Partial<LmdbOptions> = {}) =>
  Effect.provide(
    change((transaction) => transaction.create(a, 0)),
    LmdbNative.layerWith(optionsOf(file, options))
  )

/** Warnings while it is opened. */
const open = Effect.fnUntraced(function* (file: string, options: Partial<LmdbOptions> = {}) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(Array.isArray(message) ? message[0] : message))
  })
  const layer = LmdbNative.layerWith(optionsOf(file, { create: false, ...options }))
  yield* Effect.provide(Effect.asVoid(Lmdb), Layer.provide(layer, Logger.layer([logger])))
  return warnings
})

const assertRefused = Effect.fnUntraced(function* (
  words: ReadonlyArray<string>,
  file: string,
  options: Partial<LmdbOptions> = {}
) {
  const before = fs.readdirSync(path.dirname(file))
  const error = yield* Effect.flip(open(file, options))
  assert.strictEqual(error.reason._tag, "UnsafePath", error.message)
  assert.isFalse(error.retryable)
  for (const word of words) assert.include(error.message, word)
  assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), before, "LMDB was called")
})

/** `data/file` with its lock file, and an empty directory `links`. */
const layout = Effect.gen(function* () {
  const top = fs.realpathSync(yield* directory)
  const file = path.join(top, "data", "file")
  yield* make(file)
  fs.mkdirSync(path.join(top, "links"))
  return { file, link: path.join(top, "links", "link"), top }
})

describe("LmdbNative: a symbolic link to the data file", () => {
  it.live("is refused when there is a lock file beside both: both are named", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link } = yield* layout
        fs.symlinkSync(file, link)
        fs.writeFileSync(`${link}-lock`, "")
        yield* assertRefused([`${link} is a symbolic link to ${file}`, `${link}-lock`, `${file}-lock`], link)
      })
    )
  )

  it.live("is refused when there is one beside the file only: an application has used that path", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link } = yield* layout
        fs.symlinkSync(file, link)
        yield* assertRefused([`${link}-lock`, `${file}-lock`], link)
      })
    )
  )

  it.live("is refused when there is one beside a link on the way to the file", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link, top } = yield* layout
        const between = path.join(top, "between")
        fs.rmSync(`${file}-lock`)
        fs.symlinkSync(file, between)
        fs.symlinkSync(between, link)
        fs.writeFileSync(`${between}-lock`, "")
        yield* assertRefused([`${link} is a symbolic link to ${file}`, `${between}-lock`], link)
      })
    )
  )

  it.live("is followed as the system does it: from where a linked directory leads to", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, top } = yield* layout
        fs.mkdirSync(path.join(top, "links", "deep"))
        fs.symlinkSync("../../data/file", path.join(top, "links", "deep", "link"))
        fs.symlinkSync(path.join("links", "deep"), path.join(top, "directory"))
        yield* assertRefused([`${file}-lock`], path.join(top, "directory", "link"))
      })
    )
  )

  it.live("to a data.mdb is refused by the lock.mdb beside that", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { link, top } = yield* layout
        yield* make(path.join(top, "environment"), { noSubdir: false })
        fs.symlinkSync(path.join(top, "environment", "data.mdb"), link)
        yield* assertRefused([`${link}-lock`, path.join(top, "environment", "lock.mdb")], link)
      })
    )
  )

  it.live("as the data.mdb of a directory is refused by the lock file beside its target", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, top } = yield* layout
        fs.symlinkSync(file, path.join(top, "links", "data.mdb"))
        yield* assertRefused(
          [path.join(top, "links", "lock.mdb"), `${file}-lock`],
          path.join(top, "links", "data.mdb"),
          { path: path.join(top, "links"), noSubdir: false }
        )
      })
    )
  )

  it.live("is opened with a warning when nobody has used another path", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link } = yield* layout
        fs.rmSync(`${file}-lock`)
        fs.symlinkSync(file, link)
        const [warning, ...more] = yield* open(link)
        assert.include(warning, `LMDB ${link}: it is a symbolic link to ${file}`)
        assert.include(warning, `${link}-lock`)
        assert.deepStrictEqual(more, [])
      })
    )
  )

  it.live("whose lock file is a link to the other one is opened: there is one lock", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link } = yield* layout
        fs.symlinkSync(file, link)
        fs.symlinkSync(`${file}-lock`, `${link}-lock`)
        assert.lengthOf(yield* open(link), 1)
      })
    )
  )
})

describe("LmdbNative: other paths of the data file", () => {
  it.live("a linked directory is opened as any other", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { top } = yield* layout
        fs.symlinkSync(path.join(top, "data"), path.join(top, "directory"))
        assert.deepStrictEqual(yield* open(path.join(top, "directory", "file")), [])
        yield* make(path.join(top, "environment"), { noSubdir: false })
        fs.symlinkSync(path.join(top, "environment"), path.join(top, "linked"))
        assert.deepStrictEqual(yield* open(path.join(top, "linked"), { noSubdir: false }), [])
      })
    )
  )

  it.live("a hard link is refused, by either name", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, link } = yield* layout
        fs.linkSync(file, link)
        for (const name of [file, link]) yield* assertRefused([`${name} has 2 names (hard links)`], name)
        fs.rmSync(link)
        yield* open(file)
      })
    )
  )

  it.live(
    "the file of a directory that the application opens as a directory is refused: it has another lock file",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { top } = yield* layout
          const directory = path.join(top, "environment")
          yield* make(directory, { noSubdir: false })
          const file = path.join(directory, "data.mdb")
          yield* assertRefused([`${file}-lock`, path.join(directory, "lock.mdb"), "options.no_subdir"], file)
        })
      )
  )
})
