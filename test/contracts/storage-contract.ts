/**
 * The contract that every Storage layer must pass. Names are flat, because directories support no others, and each test
 * has its own names.
 */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Layer, Schema, Stream } from "effect"
import { type Source, Storage } from "../../src/services/Storage.ts"

export const read = Effect.fnUntraced(function* (name: string) {
  const { load } = yield* Storage
  return Buffer.concat(yield* Stream.runCollect(load(name)))
})

/** Returns a source over the given chunks, including empty ones. A range cuts the chunks at its ends. */
export const sourceOf = (parts: ReadonlyArray<Uint8Array<ArrayBuffer>>, size?: number): Source<never, never> => ({
  size: size ?? parts.reduce((sum, part) => sum + part.length, 0),
  read: (start, end) => {
    let from = 0
    const cut: Array<Uint8Array<ArrayBuffer>> = []
    for (const part of parts) {
      const last = from + part.length
      // A source whose announced size is too small continues after the range, as a source with a bug would.
      const stop = size !== undefined && end === size ? last : Math.min(end, last)
      if (last > start && from < stop) cut.push(part.slice(Math.max(0, start - from), stop - from))
      from = last
    }
    return Stream.fromIterable(cut)
  }
})

export const textOf = (text: string, size?: number) => sourceOf([new Uint8Array(Buffer.from(text))], size)

/** Lengths of chunks, some of which are empty or larger than those of any layer. */
const Lengths = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600_000 }))).check(
  Schema.isMaxLength(6)
)

const namesOf = Effect.fnUntraced(function* (prefix: string) {
  const { list } = yield* Storage
  return (yield* list(prefix)).map(({ name }) => name)
})

export const suite = <E>(title: string, layer: Layer.Layer<Storage, E>, options?: { readonly runs?: number }) =>
  it.layer(layer, { timeout: "30 seconds", excludeTestServices: true })(`Storage (${title})`, (it) => {
    it.effect.prop(
      "load gives what was stored, however it was cut",
      [Lengths],
      ([lengths]) =>
        Effect.gen(function* () {
          const { store } = yield* Storage
          const parts = lengths.map((length, index) => new Uint8Array(length).fill(index + 1))
          yield* store("cut", sourceOf(parts))
          assert.isTrue(Buffer.concat(parts).equals(yield* read("cut")))
        }),
      { arbitrary: { runs: options?.runs ?? 30 } }
    )

    it.effect("chunks belong to the reader, and none is empty", () =>
      Effect.gen(function* () {
        const { load, store } = yield* Storage
        yield* store("copy", sourceOf([new Uint8Array(300_000).fill(7), new Uint8Array(300_000).fill(8)]))
        const wanted = yield* read("copy")
        yield* Stream.runForEach(load("copy"), (chunk) =>
          Effect.sync(() => {
            assert.isAbove(chunk.length, 0)
            // A transfer to another thread transfers the whole buffer of the chunk.
            structuredClone(chunk, { transfer: [chunk.buffer] })
          })
        )
        assert.isTrue(wanted.equals(yield* read("copy")))
      })
    )

    it.effect("an object may be empty, and is replaced whole by a longer or a shorter one", () =>
      Effect.gen(function* () {
        const { store } = yield* Storage
        for (const text of ["", "long ".repeat(1_000), "short"]) {
          yield* store("replaced", textOf(text))
          assert.strictEqual((yield* read("replaced")).toString(), text)
        }
      })
    )

    it.effect("load of a missing object fails with ObjectNotFound", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read("absent"))
        assert.strictEqual(error.reason._tag, "ObjectNotFound")
        assert.strictEqual(error.operation, "load")
        assert.isFalse(error.retryable)
      })
    )

    it.effect("a store whose source fails leaves the old object", () =>
      Effect.gen(function* () {
        const { store } = yield* Storage
        yield* store("kept", textOf("old"))
        const broken: Source<"broken", never> = {
          size: 100_000,
          read: () => Stream.concat(Stream.succeed(new Uint8Array(90_000)), Stream.fail("broken"))
        }
        assert.strictEqual(yield* Effect.flip(store("kept", broken)), "broken")
        assert.strictEqual((yield* read("kept")).toString(), "old")
      })
    )

    it.effect("a source that is shorter or longer than announced is refused, and the old object stays", () =>
      Effect.gen(function* () {
        const { store } = yield* Storage
        yield* store("sized", textOf("old"))
        for (const text of ["ne", "news"]) {
          const error = yield* Effect.flip(store("sized", textOf(text, 3)))
          assert.deepInclude(error.reason, { _tag: "WrongSize", expected: 3, actual: text.length })
        }
        assert.strictEqual((yield* read("sized")).toString(), "old")
      })
    )

    it.effect("an interrupted store leaves the old object and takes the interruption", () =>
      Effect.gen(function* () {
        const { store } = yield* Storage
        yield* store("interrupted", textOf("old"))
        const started = yield* Deferred.make<void>()
        const endless: Source<never, never> = {
          size: 100_000,
          read: () =>
            Stream.concat(
              Stream.succeed(new Uint8Array(50_000)),
              Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
            )
        }
        const fiber = yield* Effect.forkChild(store("interrupted", endless))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* read("interrupted")).toString(), "old")
        assert.deepStrictEqual(yield* namesOf("interrupted"), ["interrupted"])
      })
    )

    it.effect("a reader may stop early", () =>
      Effect.gen(function* () {
        const { load, store } = yield* Storage
        yield* store("early", sourceOf([new Uint8Array(2_000_000).fill(1)]))
        const first = yield* Stream.runCollect(Stream.take(load("early"), 1))
        assert.strictEqual(first[0]?.[0], 1)
        assert.strictEqual((yield* read("early")).length, 2_000_000)
      })
    )

    it.effect("list is by prefix, in byte order, with sizes; delete may be repeated", () =>
      Effect.gen(function* () {
        const storage = yield* Storage
        // U+1F600 comes before U+FF5E in UTF-16 order, but after it in byte order.
        for (const name of ["p-b", "p-😀", "p-～", "p-a", "p-A b+c&<d>%41", "q"])
          yield* storage.store(name, textOf(name))
        assert.deepStrictEqual(yield* namesOf("p-"), ["p-A b+c&<d>%41", "p-a", "p-b", "p-～", "p-😀"])
        assert.deepInclude((yield* storage.list("p-a"))[0], { name: "p-a", size: 3 })
        assert.strictEqual((yield* read("p-A b+c&<d>%41")).toString(), "p-A b+c&<d>%41")
        yield* storage.delete("p-a")
        yield* storage.delete("p-a")
        assert.deepStrictEqual(yield* namesOf("p-"), ["p-A b+c&<d>%41", "p-b", "p-～", "p-😀"])
      })
    )

    it.effect("the ETag changes with the content and stays without a change", () =>
      Effect.gen(function* () {
        const { list, store } = yield* Storage
        const etag = Effect.map(list("tagged"), ([object]) => object?.etag)
        yield* store("tagged", textOf("one"))
        const first = yield* etag
        assert.isAbove(first?.length ?? 0, 0)
        assert.strictEqual(yield* etag, first)
        // The resolution of time stamps in file systems can be 4 ms, and inode numbers are reused.
        yield* Effect.sleep(20)
        yield* store("tagged", textOf("two"))
        assert.notStrictEqual(yield* etag, first)
      })
    )

    it.effect("objects of a name are independent of those it is a prefix of, side by side", () =>
      Effect.gen(function* () {
        const { store } = yield* Storage
        const names = Array.from({ length: 12 }, (_, index) => `side${"x".repeat(index)}`)
        yield* Effect.forEach(names, (name) => store(name, textOf(name)), { concurrency: "unbounded" })
        const texts = yield* Effect.forEach(names, (name) => Effect.map(read(name), String), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(texts, names)
        assert.deepStrictEqual(yield* namesOf("side"), names)
      })
    )
  })
