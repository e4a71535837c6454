/**
 * `FsListing`: what a listing costs, counted in calls of the system, and that it is what is in the directory, whoever
 * changes that.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, PlatformError, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as FsListing from "../../../src/layers/storage/FsListing.ts"

/** As in the module's header. */
const rechecksMax = 256

const fixture = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "fs-listing-" })
  const calls = { looks: 0, reads: 0 }
  /** Names that cannot be looked at. */
  const broken = new Set<string>()
  const counting = FileSystem.FileSystem.of({
    ...fs,
    lstat: (path) =>
      Effect.suspend(() => {
        calls.looks++
        if (!broken.has(path.slice(root.length + 1))) return fs.lstat(path)
        return Effect.fail(
          PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "lstat", pathOrDescriptor: path })
        )
      }),
    readDirectory: (path) =>
      Effect.andThen(
        Effect.sync(() => calls.reads++),
        fs.readDirectory(path)
      )
  })
  const listing = yield* FsListing.make(counting, root)
  /** What the effect took. */
  const counted = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const before = { ...calls }
      const result = yield* effect
      return { looks: calls.looks - before.looks, reads: calls.reads - before.reads, result }
    })
  const write = (name: string, text: string) => fs.writeFileString(`${root}/${name}`, text)
  /** As another daemon does it. */
  const replace = (name: string, text: string) =>
    Effect.andThen(write(".other.tmp", text), fs.rename(`${root}/.other.tmp`, `${root}/${name}`))
  const sizes = Effect.map(listing.list(""), (objects) =>
    Object.fromEntries(objects.map(({ name, size }) => [name, size]))
  )
  return { fs, root, broken, listing, counted, write, replace, sizes }
})

const nameOf = (index: number) => `object-${String(index).padStart(5, "0")}`

const many = (write: (name: string, text: string) => Effect.Effect<void, PlatformError.PlatformError>, count: number) =>
  Effect.orDie(
    Effect.forEach(
      Array.from({ length: count }, (_, index) => nameOf(index)),
      (name) => write(name, "x"),
      { concurrency: 8, discard: true }
    )
  )

const Change = Schema.Struct({
  kind: Schema.Literals(["store", "delete", "storeByOther", "rewriteByOther", "deleteByOther", "list"]),
  name: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
  size: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})

layer(NodeFileSystem.layer)("FsListing", (it) => {
  it.effect("looks at each object once, then at a few at each listing, and at what is new", () =>
    Effect.gen(function* () {
      const { counted, listing, sizes, write } = yield* fixture
      yield* many(write, 900)
      const first = yield* counted(listing.list(""))
      assert.deepStrictEqual([first.looks, first.reads, first.result.length], [900, 1, 900])
      yield* write("new", "x")
      assert.strictEqual((yield* counted(sizes)).looks, rechecksMax + 1)
      // It may still have been written.
      assert.strictEqual((yield* counted(sizes)).looks, rechecksMax + 1)
      const idle = yield* counted(sizes)
      assert.deepStrictEqual([idle.looks, idle.reads], [rechecksMax, 1])
      assert.strictEqual(Object.keys(idle.result).length, 901)
    })
  )

  it.effect("gives the same array while nothing changes", () =>
    Effect.gen(function* () {
      const { listing, replace, write } = yield* fixture
      yield* many(write, 300)
      const first = yield* listing.list("object-0000")
      assert.strictEqual(first.length, 10)
      assert.strictEqual(yield* listing.list("object-0000"), first)
      yield* replace(nameOf(3), "longer")
      const changed = yield* listing.list("object-0000")
      assert.deepStrictEqual(
        changed.map(({ size }) => size),
        [1, 1, 1, 6, 1, 1, 1, 1, 1, 1]
      )
    })
  )

  it.effect("sees at once what others replace in a directory that is quiet otherwise, however large it is", () =>
    Effect.gen(function* () {
      const { counted, replace, sizes, write } = yield* fixture
      yield* many(write, 900)
      yield* sizes
      // Timestamps of file systems are as coarse as 10 ms.
      yield* TestClock.withLive(Effect.sleep(20))
      // The temporary name comes and goes between the two listings.
      yield* replace(nameOf(899), "longer")
      const { looks, result } = yield* counted(sizes)
      assert.deepStrictEqual([looks, result[nameOf(899)]], [900, 6])
    })
  )

  it.effect("sees what others rewrite in place when it was each object's turn, while names come and go", () =>
    Effect.gen(function* () {
      const { sizes, write } = yield* fixture
      yield* many(write, 900)
      yield* sizes
      yield* write(nameOf(0), "longer")
      yield* write(nameOf(899), "longer")
      const seen: Array<readonly [number | undefined, number | undefined]> = []
      for (let turn = 0; turn < 4; turn++) {
        yield* write(`other-${turn}`, "x")
        const listed = yield* sizes
        seen.push([listed[nameOf(0)], listed[nameOf(899)]])
      }
      // 900 objects, 256 a turn.
      assert.deepStrictEqual(seen.at(-1), [6, 6])
      assert.notDeepEqual(seen[0], [6, 6])
    })
  )

  it.effect("looks again at an object that grew since the last listing, until two looks agree", () =>
    Effect.gen(function* () {
      const { sizes, write } = yield* fixture
      yield* many(write, 900)
      yield* sizes
      for (const text of ["x", "xx", "xxx"]) {
        yield* write("copied", text)
        assert.strictEqual((yield* sizes)["copied"], text.length)
      }
    })
  )

  it.effect("reads a large directory once for all databases, and has what this process changed meanwhile", () =>
    Effect.gen(function* () {
      const { counted, fs, listing, root, write } = yield* fixture
      yield* many(write, 1_500)
      yield* listing.list("")
      yield* write("mine", "x")
      listing.recheck("mine")
      yield* fs.remove(`${root}/${nameOf(7)}`)
      listing.recheck(nameOf(7))
      yield* write("theirs", "x")
      const shared = yield* counted(
        Effect.all([listing.list("mine"), listing.list("object-0000"), listing.list("theirs")])
      )
      assert.deepStrictEqual([shared.reads, shared.looks], [0, 2])
      assert.deepStrictEqual(
        shared.result.map(({ length }) => length),
        [1, 9, 0]
      )
      // 10 µs for each name.
      yield* TestClock.adjust("16 millis")
      const later = yield* counted(listing.list("theirs"))
      assert.deepStrictEqual([later.reads, later.result.length], [1, 1])
    })
  )

  it.effect("reads again after a failure, and looks at all", () =>
    Effect.gen(function* () {
      const { counted, fs, replace, root, sizes, write } = yield* fixture
      yield* many(write, 300)
      yield* sizes
      yield* fs.rename(root, `${root}-away`)
      assert.strictEqual((yield* Effect.flip(sizes)).reason._tag, "NotFound")
      yield* fs.rename(`${root}-away`, root)
      yield* replace(nameOf(299), "longer")
      const { looks, result } = yield* counted(sizes)
      assert.deepStrictEqual([looks, result[nameOf(299)]], [300, 6])
    })
  )

  it.effect("forgets nothing that a listing found out before it failed", () =>
    Effect.gen(function* () {
      const { broken, listing, sizes, write } = yield* fixture
      yield* many(write, 100)
      yield* sizes
      yield* write(nameOf(0), "longer")
      yield* write("new", "x")
      yield* write(nameOf(99), "longer")
      listing.recheck(nameOf(99))
      broken.add(nameOf(50))
      assert.strictEqual((yield* Effect.flip(sizes)).reason._tag, "Unknown")
      broken.clear()
      const listed = yield* sizes
      assert.deepStrictEqual(
        [Object.keys(listed).length, listed[nameOf(0)], listed["new"], listed[nameOf(99)]],
        [101, 6, 1, 6]
      )
    })
  )

  it.effect.prop(
    "is what is in the directory, whoever changes it",
    [Schema.Array(Change).check(Schema.isMaxLength(25))],
    ([changes]) =>
      Effect.gen(function* () {
        const { fs, listing, replace, root, sizes, write } = yield* fixture
        const expected: Record<string, number> = {}
        for (const { kind, name: number, size } of changes) {
          const name = nameOf(number)
          const text = "x".repeat(size)
          if (kind === "list") yield* sizes
          else if (kind.startsWith("delete")) {
            delete expected[name]
            yield* fs.remove(`${root}/${name}`, { force: true })
          } else {
            expected[name] = size
            yield* kind === "rewriteByOther" ? write(name, text) : replace(name, text)
          }
          if (kind === "store" || kind === "delete") {
            listing.recheck(name)
            assert.deepStrictEqual(yield* sizes, { ...expected })
          }
        }
        assert.deepStrictEqual(yield* sizes, expected)
      })
  )
})
