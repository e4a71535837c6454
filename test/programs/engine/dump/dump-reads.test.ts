/** How long a dump keeps its read transaction open: until it has read everything, however long compression takes. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as Compressions from "../../../../src/layers/compression/Compressions.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Compression } from "../../../../src/services/Compression.ts"
import { Database } from "../../../../src/services/Database.ts"
import { Lmdb } from "../../../../src/services/Lmdb.ts"
import { Spool } from "../../../../src/services/Spool.ts"
import { databaseOptions, dump, over, write } from "../../../support/fixtures/Environments.ts"
import { bytes } from "../../../support/fixtures/ShadowEnvironments.ts"
import { nativeValue } from "../../../support/fixtures/Snapshots.ts"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"

const d = DbiName.fromText("d")

const put = (key: string) =>
  write((transaction) => {
    if (transaction.dbis().length === 0) transaction.create(d, 0)
    const value = nativeValue(7, "v")
    transaction.put(d, bytes(key), 0, key.length, value, 0, value.length, false)
  })

const readers = Effect.flatMap(Lmdb, ({ info }) => Effect.map(info, ({ readers }) => readers))

/** Waits until the number of read transactions stays the same. */
const settled = Effect.gen(function* () {
  yield* Effect.sleep("100 millis")
  return yield* readers
})

/** Runs `use` while compression waits for `proceed`. */
const whileCompressing = (
  use: (held: {
    isOn: boolean
    proceed: Effect.Effect<void>
  }) => Effect.Effect<void, { readonly message: string }, Database | Lmdb | Spool>
) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const held = { isOn: false, proceed: Effect.asVoid(Deferred.succeed(gate, undefined)) }
    const compression = Layer.effect(
      Compression,
      Effect.map(Compression, (inner) => ({
        ...inner,
        gzip: {
          ...inner.gzip,
          compress: (member: Uint8Array<ArrayBuffer>) =>
            Effect.andThen(
              Effect.suspend(() => (held.isOn ? Deferred.await(gate) : Effect.void)),
              inner.gzip.compress(member)
            )
        }
      }))
    ).pipe(Layer.provide(Compressions.layer))
    const options = databaseOptions({ deltas: true })
    yield* Effect.provide(use(held), over(LmdbMemory.layerWith(), options, compression))
  })

describe("the read transaction of a dump", () => {
  it.live("of a full snapshot ends before the last compressions", () =>
    whileCompressing((held) =>
      Effect.gen(function* () {
        yield* put("a")
        held.isOn = true
        const dumping = yield* Effect.forkChild(dump())
        yield* settled
        yield* put("b")
        yield* (yield* Database).changes
        assert.strictEqual(yield* settled, 1, "only the pin, which has moved on")
        assert.isUndefined(dumping.pollUnsafe(), "the dump still waits")
        yield* held.proceed
        assert.strictEqual((yield* Fiber.join(dumping)).result.entries, 1)
      })
    )
  )

  it.live("of a delta ends before the last compressions", () =>
    whileCompressing((held) =>
      Effect.gen(function* () {
        const { changes, dumpDelta } = yield* Database
        yield* put("a")
        const { timestampNano } = (yield* dump()).result
        yield* put("b")
        held.isOn = true
        const dumping = yield* Effect.forkChild(
          Effect.scoped(
            Effect.gen(function* () {
              const place = yield* (yield* Spool).open
              const common = { place, format: "gzip", instanceID: "a", hostname: "h", newestKnown: 0n } as const
              const from = { fromNano: timestampNano, keptNano: [timestampNano] }
              return yield* dumpDelta({ ...common, ...from, entriesMax: Infinity, sizeMax: Infinity })
            })
          )
        )
        yield* settled
        yield* put("c")
        yield* changes
        assert.strictEqual(yield* settled, 1, "only the pin, which has moved on")
        assert.isUndefined(dumping.pollUnsafe(), "the dump still waits")
        yield* held.proceed
        assert.strictEqual((yield* Fiber.join(dumping))?.entries, 1)
        yield* changes
      })
    )
  )
})

describe("the processor time of a look at the changes", () => {
  it.live("does not contain the time for which it waited", () => {
    let waitMillis = 0
    const slow = Layer.effect(
      Lmdb,
      Effect.map(Lmdb, (inner) => ({
        ...inner,
        changes: (...views: Parameters<typeof inner.changes>) =>
          Effect.andThen(
            Effect.suspend(() => Effect.sleep(waitMillis)),
            inner.changes(...views)
          )
      }))
    ).pipe(Layer.provide(LmdbMemory.layerWith()))
    return Effect.gen(function* () {
      const { changes } = yield* Database
      yield* put("a")
      yield* dump()
      yield* put("b")
      waitMillis = 1_000
      const began = performance.now()
      const { tracking } = yield* changes
      const tookMillis = performance.now() - began
      assert.isAtLeast(tookMillis, 900)
      assert.isAbove(tracking!.renewalMillis, 0)
      assert.isBelow(tracking!.renewalMillis, tookMillis / 2)
    }).pipe(Effect.provide(over(slow, databaseOptions({ deltas: true }))))
  })
})
