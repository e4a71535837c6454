/**
 * The contract that every Spool layer must pass. It uses real time, because files are read and written on the thread
 * pool.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Schema, Stream } from "effect"
import { Spool, type Spooled } from "../../src/services/Spool.ts"
import { collect, recordBytes } from "../support/fixtures/ByteStreams.ts"

const Lengths = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400_000 }))).check(
  Schema.isMaxLength(8)
)
const Fraction = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))

export const suite = <E>(name: string, layer: Layer.Layer<Spool, E>) => {
  const spooled = Effect.fnUntraced(function* (chunks: Iterable<Uint8Array>) {
    const { open, writer } = yield* Spool
    const { append, finish } = writer(yield* open)
    for (const chunk of chunks) yield* append(chunk)
    return yield* finish
  })

  /** Asserts that a spool contains these bytes, both as a whole and between two thousandths of its length. */
  const assertHolds = Effect.fnUntraced(function* (spool: Spooled, whole: Buffer, from: number, to: number) {
    const { read } = yield* Spool
    assert.strictEqual(spool.size, whole.length)
    assert.isTrue(whole.equals(yield* collect(read(spool))))
    const start = Math.floor((whole.length * from) / 1_000)
    const end = Math.floor((whole.length * to) / 1_000)
    assert.isTrue(whole.subarray(start, end).equals(yield* collect(read(spool, { start, end }))))
  })

  describe(`Spool (${name})`, () => {
    it.live.prop(
      "gives back what was appended, whole and any part of it",
      [Lengths, Fraction, Fraction],
      ([lengths, from, to]) =>
        Effect.gen(function* () {
          const chunks = lengths.map((length, index) => recordBytes(length, index))
          const whole = Buffer.concat(chunks)
          const spool = yield* spooled(chunks)
          yield* assertHolds(spool, whole, from, to)
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary: { runs: 50 } }
    )

    it.live.prop(
      "what is inserted at a mark is read there, whole and any part of it",
      [Lengths, Lengths, Fraction, Fraction],
      ([lengths, late, from, to]) =>
        Effect.gen(function* () {
          const { open, writer } = yield* Spool
          const { append, finish, insert, mark } = writer(yield* open)
          // There is a mark before each chunk. The bytes at a mark are known only at the end, some of them in two
          // pieces.
          const chunks = lengths.map((length, index) => recordBytes(length, index))
          const inserted = lengths.map((_, index) => recordBytes((late[index] ?? 0) % 5_000, 100 + index))
          const marks: Array<number> = []
          for (const chunk of chunks) {
            marks.push(mark())
            yield* append(chunk)
          }
          for (const [index, bytes] of inserted.entries()) {
            yield* insert(marks[index]!, bytes.subarray(0, bytes.length >> 1))
            yield* insert(marks[index]!, bytes.subarray(bytes.length >> 1))
          }
          const whole = Buffer.concat(chunks.flatMap((chunk, index) => [inserted[index]!, chunk]))
          const spool = yield* finish
          yield* assertHolds(spool, whole, from, to)
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary: { runs: 50 } }
    )

    it.live.prop(
      "a revision is made of parts of the earlier one and of what is new, and leaves that as it was",
      [Lengths, Lengths, Fraction],
      ([lengths, late, from]) =>
        Effect.gen(function* () {
          const { read, revise } = yield* Spool
          let spool = yield* spooled(lengths.map((length, index) => recordBytes(length, index)))
          let whole: Uint8Array = yield* collect(read(spool))
          for (const [index, length] of late.entries()) {
            const { append, finish, insert, mark, take } = revise(spool)
            const [head, news] = [recordBytes(7, 200 + index), recordBytes(length, 100 + index)]
            // Everything except a range in the middle is copied, in two adjacent pieces.
            const cut = Math.floor((whole.length * from) / 2_000)
            const again = Math.min(whole.length, cut + length)
            const place = mark()
            take(0, cut >> 1)
            take(cut >> 1, cut)
            yield* append(news)
            take(again, whole.length)
            yield* insert(place, head)
            const revised = yield* finish
            const expected = Buffer.concat([head, whole.subarray(0, cut), news, whole.subarray(again)])
            assert.strictEqual(revised.size, expected.length)
            assert.isTrue(expected.equals(yield* collect(read(revised))))
            assert.isTrue(Buffer.from(whole).equals(yield* collect(read(spool))))
            spool = revised
            whole = expected
          }
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary: { runs: 30 } }
    )

    it.live("a revision of one that has left the end out, which is there no longer", () =>
      Effect.gen(function* () {
        const { read, revise } = yield* Spool
        const bytes = recordBytes(900_000)
        const first = revise(yield* spooled([bytes]))
        first.take(0, 300_000)
        const second = revise(yield* first.finish)
        second.take(1, 300_000)
        yield* second.append(Uint8Array.of(1, 2, 3))
        const whole = yield* collect(read(yield* second.finish))
        assert.isTrue(Buffer.concat([bytes.subarray(1, 300_000), Uint8Array.of(1, 2, 3)]).equals(whole))
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live.prop(
      "fills the caller's bytes from any position, and nothing beside them",
      [Lengths, Fraction, Fraction],
      ([lengths, from, to]) =>
        Effect.gen(function* () {
          const { readInto } = yield* Spool
          const chunks = lengths.map((length, index) => recordBytes(length, index))
          const whole = Buffer.concat(chunks)
          const spool = yield* spooled(chunks)
          const start = Math.floor((whole.length * Math.min(from, to)) / 1_000)
          const end = Math.floor((whole.length * Math.max(from, to)) / 1_000)
          const bytes = new Uint8Array(end - start + 2).fill(0x55)
          yield* readInto(spool, start, bytes.subarray(1, bytes.length - 1))
          assert.isTrue(
            Buffer.concat([Buffer.from([0x55]), whole.subarray(start, end), Buffer.from([0x55])]).equals(bytes)
          )
          const beyond = yield* Effect.flip(readInto(spool, whole.length - 1, new Uint8Array(2)))
          assert.strictEqual(beyond._tag, "SpoolError")
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary: { runs: 50 } }
    )

    it.live("an appended chunk may be reused, and a reader's chunks are its own", () =>
      Effect.gen(function* () {
        const { open, read, writer } = yield* Spool
        const { append, finish } = writer(yield* open)
        const chunk = new Uint8Array(200_000)
        for (let value = 1; value <= 5; value++) yield* append(chunk.fill(value))
        chunk.fill(0)
        const spool = yield* finish
        yield* Stream.runForEach(read(spool), (chunk) => {
          assert.strictEqual(chunk.buffer.byteLength, chunk.length)
          assert.isAtMost(chunk.length, 256 * 1024)
          return Effect.sync(() => chunk.fill(0))
        })
        const again = yield* collect(read(spool))
        assert.deepStrictEqual([again.length, again[0], again[999_999]], [1_000_000, 1, 5])
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("several readers at once, in any order", () =>
      Effect.gen(function* () {
        const { read } = yield* Spool
        const bytes = recordBytes(900_000)
        const spool = yield* spooled([bytes])
        const parts = Array.from({ length: 9 }, (_, index) => ({ start: index * 100_000, end: (index + 1) * 100_000 }))
        const back = yield* Effect.forEach(parts.toReversed(), (part) => collect(read(spool, part)), {
          concurrency: "unbounded"
        })
        assert.isTrue(Buffer.concat(back.toReversed()).equals(bytes))
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("arrays of one chunk: nothing is read ahead of the reader", () =>
      Effect.gen(function* () {
        const { read } = yield* Spool
        const lengths: Array<number> = []
        yield* Stream.runForEachArray(read(yield* spooled([recordBytes(600_000)])), (chunks) =>
          Effect.sync(() => void lengths.push(chunks.length))
        )
        assert.deepStrictEqual(lengths, [1, 1, 1])
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("of nothing is nothing", () =>
      Effect.gen(function* () {
        const { read } = yield* Spool
        const spool = yield* spooled([])
        assert.strictEqual(spool.size, 0)
        assert.strictEqual((yield* collect(read(spool))).length, 0)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  })
}
