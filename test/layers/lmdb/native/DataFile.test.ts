/**
 * Which files are opened, which are refused, and with what words; and the golden files, as other builds of LMDB wrote
 * them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- makes a pipe
import * as childProcess from "node:child_process"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as zlib from "node:zlib"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import * as BuildCheck from "../../../../src/layers/lmdb/native/BuildCheck.ts"
import { readMeta, writeMapSize } from "../../../../src/layers/lmdb/native/DataFile.ts"
import { Lmdb, type LmdbOptions } from "../../../../src/services/Lmdb.ts"
import * as EmptyDataFile from "../../../support/EmptyDataFile.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"

const a = DbiName.fromText("a")

const openWith = (options: LmdbOptions) => Effect.provide(Effect.asVoid(Lmdb), LmdbNative.layerWith(options))

const pathOf = (options: LmdbOptions) =>
  Effect.provide(
    Effect.map(Lmdb, ({ path }) => path),
    LmdbNative.layerWith(options)
  )

/** One commit. */
const makeWith = (options: LmdbOptions) =>
  Effect.provide(
    Effect.flatMap(Lmdb, ({ write }) => write((transaction) => Effect.sync(() => transaction.create(a, 0)))),
    LmdbNative.layerWith(options)
  )

/** Of an open that fails, where the file is not to be made. */
const refusal = (file: string, options: Partial<LmdbOptions> = {}) =>
  Effect.flip(openWith(optionsOf(file, { create: false, ...options })))

const golden = (name: string) => path.join(import.meta.dirname, "..", "..", "..", "golden", name)

const gunzipTo = (directory: string, name: string): string => {
  const file = path.join(directory, path.basename(name, ".gz"))
  fs.writeFileSync(file, zlib.gunzipSync(fs.readFileSync(golden(name))))
  return file
}

describe("LmdbNative: what is there", () => {
  it.live("no file is missing, and is not made without create", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "no", "lmdb")
        const error = yield* refusal(file)
        assert.strictEqual(error.reason._tag, "Missing")
        assert.isTrue(error.retryable)
        assert.include(error.message, `LMDB ${file}: there is no such file`)
        assert.isFalse(fs.existsSync(path.dirname(file)))
      })
    )
  )

  it.live("a file that an application has only begun to make is missing, too", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        fs.writeFileSync(file, "")
        assert.strictEqual((yield* refusal(file)).reason._tag, "Missing")
      })
    )
  )

  it.live("create makes the directory with its parents and the file, with the masks less the umask", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const umask = process.umask(0o027)
        yield* Effect.addFinalizer(() => Effect.sync(() => void process.umask(umask)))
        const top = yield* directory
        yield* makeWith(optionsOf(path.join(top, "x", "y"), { noSubdir: false, dirMask: 0o777, fileMask: 0o666 }))
        const mode = (name: string) => (fs.statSync(path.join(top, name)).mode & 0o777).toString(8)
        assert.deepStrictEqual(["x", "x/y", "x/y/data.mdb", "x/y/lock.mdb"].map(mode), ["750", "750", "640", "640"])
      })
    )
  )

  it.live("the path of the service is that of the data file", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const top = yield* directory
        assert.strictEqual(
          yield* pathOf(optionsOf(path.join(top, "e"), { noSubdir: false })),
          path.join(top, "e", "data.mdb")
        )
        assert.strictEqual(
          yield* pathOf(optionsOf(path.relative(process.cwd(), path.join(top, "f")))),
          path.join(top, "f")
        )
      })
    )
  )

  it.live("a file has one identity by whatever path, another file another, and none has none", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const top = yield* directory
        const file = path.join(top, "lmdb")
        const identity = (name: string) => LmdbNative.identityOf(optionsOf(path.join(top, name)))
        assert.isUndefined(identity("lmdb"))
        yield* makeWith(optionsOf(file))
        fs.symlinkSync(file, path.join(top, "link"))
        fs.linkSync(file, path.join(top, "hard"))
        fs.copyFileSync(file, path.join(top, "copy"))
        assert.isDefined(identity("lmdb"))
        assert.strictEqual(identity("link"), identity("lmdb"))
        assert.strictEqual(identity("hard"), identity("lmdb"))
        assert.notStrictEqual(identity("copy"), identity("lmdb"))
      })
    )
  )

  it.live("the meta page of the later transaction counts", () =>
    Effect.scoped(
      Effect.gen(function* () {
        for (const newer of [0, 1]) {
          const file = path.join(yield* directory, "lmdb")
          EmptyDataFile.write(file, 4_096, 2 ** 20)
          const bytes = fs.readFileSync(file)
          bytes.writeBigUInt64LE(7n, newer * 4_096 + 144)
          bytes.writeBigUInt64LE(BigInt(2 ** 21), newer * 4_096 + 32)
          fs.writeFileSync(file, bytes)
          assert.strictEqual(readMeta(file)!.mapSize, 2 ** 21)
        }
      })
    )
  )

  it.live("the map size is written into both meta pages", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        EmptyDataFile.write(file, 8_192, 2 ** 20)
        const before = fs.readFileSync(file)
        writeMapSize(file, 8_192, 2 ** 33)
        const after = fs.readFileSync(file)
        for (const page of [0, 8_192]) {
          assert.strictEqual(after.readBigUInt64LE(page + 32), 2n ** 33n)
          before.writeBigUInt64LE(2n ** 33n, page + 32)
        }
        assert.deepStrictEqual(after, before, "nothing else has changed")
      })
    )
  )

  it.live("a file that is open is not opened a second time, until it is closed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* directory, "lmdb")
        yield* Effect.provide(
          Effect.gen(function* () {
            fs.symlinkSync(file, `${file}-link`)
            assert.include((yield* refusal(`${file}-link`)).message, "has it open already")
          }),
          LmdbNative.layerWith(optionsOf(file))
        )
        yield* openWith(optionsOf(file, { create: false }))
      })
    )
  )
})

describe("LmdbNative: what is no LMDB of ours", () => {
  /** A v1 file with something written over its beginning. */
  const damaged = Effect.fnUntraced(function* (damage: (bytes: Buffer) => Buffer) {
    const file = path.join(yield* directory, "lmdb")
    yield* makeWith(optionsOf(file))
    const bytes = fs.readFileSync(file)
    fs.rmSync(`${file}-lock`)
    fs.writeFileSync(`${file}-2`, damage(bytes))
    const error = yield* refusal(`${file}-2`)
    assert.strictEqual(error.reason._tag, "NotLmdb")
    assert.isFalse(error.retryable)
    assert.isFalse(fs.existsSync(`${file}-2-lock`), "LMDB was called")
    return error.message
  }, Effect.scoped)

  it.live("text, zeros, and a few bytes", () =>
    Effect.gen(function* () {
      assert.include(yield* damaged(() => Buffer.alloc(10_000, "text")), "no LMDB header")
      assert.include(yield* damaged(() => Buffer.alloc(10_000)), "no LMDB header")
      assert.include(yield* damaged(() => Buffer.from("few")), "ends after 3 bytes")
    })
  )

  it.live("another data format: of the fork, whose header is longer, and of a later version", () =>
    Effect.gen(function* () {
      // As the prebuilt binary of the package writes it.
      const fork = Buffer.concat([
        Buffer.alloc(18),
        Buffer.from("080000000000dec0efbe02000000", "hex"),
        Buffer.alloc(10_000)
      ])
      assert.include(yield* damaged(() => fork), "data format version 2")
      assert.include(yield* damaged((bytes) => (bytes.writeUInt32LE(999, 20), bytes)), "data format version 999")
    })
  )

  it.live("of other machines", () =>
    Effect.gen(function* () {
      assert.include(yield* damaged((bytes) => (bytes.writeUInt32BE(0xbeefc0de, 16), bytes)), "big-endian")
      assert.include(yield* damaged((bytes) => bytes.subarray(4)), "32-bit")
    })
  )

  it.live("cut off: touching the rest would kill the process", () =>
    Effect.gen(function* () {
      assert.include(yield* damaged((bytes) => bytes.subarray(0, 6_000)), "it is truncated: 6000 bytes")
      assert.include(yield* damaged((bytes) => bytes.subarray(0, 8_192)), "it is truncated: 8192 bytes")
      assert.include(yield* damaged((bytes) => bytes.subarray(0, 4_100)), "ends after 4100 bytes")
    })
  )

  it.live("a page size that LMDB 0.9 does not have", () =>
    Effect.scoped(
      Effect.gen(function* () {
        for (const pageSize of [1, 256, 5_000, 65_536, 2 ** 31]) {
          const error = yield* damaged((bytes) => (bytes.writeUInt32LE(pageSize, 40), bytes))
          assert.include(error, `a page size of ${pageSize} bytes`)
        }
        // A whole file with such pages.
        const file = path.join(yield* directory, "lmdb")
        EmptyDataFile.write(file, 65_536, 2 ** 20)
        const error = yield* refusal(file)
        assert.strictEqual(error.reason._tag, "NotLmdb")
        assert.include(error.message, "a page size of 65536 bytes")
        assert.isFalse(fs.existsSync(`${file}-lock`), "LMDB was called")
      })
    )
  )

  it.live("with a tree, of the free list or of the DBIs, that begins beyond the end of the file", () =>
    Effect.scoped(
      Effect.gen(function* () {
        for (const record of [40, 88]) {
          const file = path.join(yield* directory, "lmdb")
          EmptyDataFile.write(file, 4_096, 2 ** 20)
          const bytes = fs.readFileSync(file)
          for (const page of [0, 4_096]) bytes.writeBigUInt64LE(2n, page + record + 40)
          fs.writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(4_095)]))
          assert.include((yield* refusal(file)).message, "it is truncated: 12287 bytes, but page 2 is in use")
          fs.writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(4_096)]))
          assert.isDefined(readMeta(file))
        }
      })
    )
  )

  it.live("with a meta page that is none", () =>
    Effect.gen(function* () {
      for (const page of [0, 4_096]) {
        const error = yield* damaged((bytes) => (bytes.writeUInt16LE(0x02, page + 10), bytes))
        assert.include(error, "a meta page is damaged")
      }
    })
  )

  it.live("a directory, a pipe, and a file in the place of the directory", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const top = yield* directory
        fs.mkdirSync(path.join(top, "directory"))
        assert.include(
          (yield* refusal(path.join(top, "directory"))).message,
          "not a regular file. Check the path, and options.no_subdir"
        )
        assert.include((yield* refusal("/dev/null")).message, "not a regular file")
        // Opening a pipe would wait for somebody who writes to it.
        childProcess.execFileSync("mkfifo", [path.join(top, "pipe")])
        assert.include((yield* refusal(path.join(top, "pipe"))).message, "not a regular file")
        fs.writeFileSync(path.join(top, "file"), "")
        assert.include(
          (yield* refusal(path.join(top, "file"), { noSubdir: false })).message,
          `${path.join(top, "file")} is no directory. Check the path, and options.no_subdir`
        )
      })
    )
  )

  it.live("in a directory that says of each new one that it is not there: not tried forever", () =>
    Effect.gen(function* () {
      const error = yield* refusal("/proc/nothing/below/data.mdb", { create: true })
      assert.strictEqual(error.reason._tag, "Missing")
      assert.include(error.message, "/proc/nothing/below")
    })
  )

  it.live("a build of the package that has another data format, or none of our patches", () =>
    Effect.gen(function* () {
      yield* BuildCheck.check
      const builds = [
        {
          patch: 90,
          versionString: "LMDB 0.9.90",
          says: "with a data format that other LMDB applications do not use"
        },
        {
          patch: 29,
          versionString: "LMDB 0.9.29: (March 16, 2021)",
          says: "without the patches of this version of lightningstream"
        },
        { patch: 29, versionString: "LMDB 0.9.29: (March 16, 2021; lightningstream 0)", says: "without the patches" }
      ]
      for (const { says, ...version } of builds) {
        const error = yield* Effect.flip(BuildCheck.checkVersion(version))
        assert.strictEqual(error.reason._tag, "WrongBuild")
        assert.include(error.message, `was built as ${version.versionString}, ${says}`)
        const [, script] = /Run: node (\/.*)$/.exec(error.message) ?? []
        assert.strictEqual(
          script,
          fs.realpathSync(path.join(import.meta.dirname, "..", "..", "..", "..", "scripts", "build-lmdb.mjs"))
        )
      }
    })
  )
})

// root may do everything: then the effective user of this process is another one for the moment of opening.
const asNobody = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const root = process.getuid!() === 0
  return Effect.acquireUseRelease(
    Effect.sync(() => root && process.seteuid!(65_534)),
    () => effect,
    () => Effect.sync(() => root && process.seteuid!(0))
  )
}

describe("LmdbNative: permissions", () => {
  const denied = Effect.fnUntraced(function* (suffix: string, mode: number) {
    const top = yield* directory
    fs.chmodSync(top, 0o755)
    const file = path.join(top, "lmdb")
    yield* makeWith(optionsOf(file))
    // A copy: this process has the other one open for good.
    for (const part of ["", "-lock"]) fs.copyFileSync(file, `${file}2${part}`)
    for (const part of ["", "-lock"]) fs.chmodSync(`${file}2${part}`, part === suffix ? mode : 0o666)
    const error = yield* asNobody(refusal(`${file}2`))
    assert.strictEqual(error.reason._tag, "PermissionDenied")
    assert.include(error.message, "run as the application's user or group")
    assert.include(error.message, `${file}2${suffix}`)
    return error
  }, Effect.scoped)

  it.live("a data file of another user is refused by name, to read and to write", () =>
    Effect.andThen(denied("", 0o000), denied("", 0o444))
  )

  it.live("a lock file of another user is refused by name", () => denied("-lock", 0o444))

  it.live("a directory in which nothing may be made is refused", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const top = yield* directory
        fs.chmodSync(top, 0o555)
        for (const name of ["lmdb", "sub/lmdb"]) {
          const error = yield* asNobody(Effect.flip(openWith(optionsOf(path.join(top, name)))))
          assert.strictEqual(error.reason._tag, "PermissionDenied", error.message)
        }
      })
    )
  )
})

interface GoldenDbi {
  readonly name: string | null
  readonly nameHex?: string
  readonly flags: number
  readonly entries: number
}

interface GoldenLmdb {
  readonly name: string
  readonly kind: string
  readonly path: string
  readonly lastTxnID: string
  readonly dbis: ReadonlyArray<GoldenDbi>
}

const nameOf = ({ name, nameHex }: GoldenDbi) =>
  name === null ? DbiName.fromBytes(Buffer.from(nameHex!, "hex")) : DbiName.fromText(name)

const manifest: { readonly lmdb: ReadonlyArray<GoldenLmdb> } = JSON.parse(
  fs.readFileSync(golden("manifest.json"), "utf8")
)
const files = manifest.lmdb.filter(({ kind }) => kind === "lmdb")

describe("LmdbNative: golden files", () => {
  for (const { dbis, lastTxnID, name, path: file } of files) {
    it.live(`${name} is listed and walked`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const copy = gunzipTo(yield* directory, file)
          const mapSize = readMeta(copy)!.mapSize
          const expected = dbis.map((dbi) => ({ name: nameOf(dbi), flags: dbi.flags, entries: dbi.entries }))
          yield* Effect.provide(
            Effect.gen(function* () {
              const { info, read } = yield* Lmdb
              const transaction = yield* read
              assert.strictEqual(String(transaction.id), lastTxnID)
              assert.deepStrictEqual(
                transaction.dbis,
                expected.sort((a, b) => (a.name < b.name ? -1 : 1))
              )
              for (const { entries, name } of expected) {
                const cursor = transaction.cursor(name)
                let count = 0
                while (cursor.next()) count++
                assert.strictEqual(count, entries)
              }
              assert.strictEqual((yield* info).mapSize, mapSize)
            }).pipe(Effect.scoped),
            LmdbNative.layerWith(optionsOf(copy, { create: false }))
          )
        })
      )
    )
  }

  it.live("a DBI whose name is not UTF-8 is written to, and others are made and dropped", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const copy = gunzipTo(yield* directory, "lmdb/native-names.mdb.gz")
        const name = DbiName.fromBytes(Buffer.from("7261772dfffe2d68766a636d6b6e6770", "hex"))
        const other = DbiName.fromBytes(Buffer.from("ff", "hex"))
        yield* Effect.provide(
          Effect.gen(function* () {
            const { read, write } = yield* Lmdb
            const before = (yield* read).dbis
            yield* write((transaction) =>
              Effect.sync(() => {
                transaction.put(name, Buffer.from("new"), 0, 3, Buffer.from("v"), 0, 1, false)
                transaction.create(other, 0x04)
                transaction.put(other, Buffer.from("k"), 0, 1, Buffer.from("v"), 0, 1, false)
              })
            )
            const expected = before.map(({ entries, flags, name: dbi }) => ({
              name: dbi,
              flags,
              entries: entries + (dbi === name ? 1 : 0)
            }))
            assert.deepStrictEqual((yield* read).dbis, [...expected, { name: other, flags: 4, entries: 1 }])
            yield* write((transaction) => Effect.sync(() => transaction.drop(other)))
            assert.deepStrictEqual((yield* read).dbis, expected)
          }).pipe(Effect.scoped),
          LmdbNative.layerWith(optionsOf(copy, { create: false }))
        )
      })
    )
  )
})
