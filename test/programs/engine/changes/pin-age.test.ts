/**
 * The pin is renewed at each poll. Otherwise, nothing would be lost, but LMDB could not reuse the pages that the pin
 * protects, and the data file would grow with every commit of the application.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import { Database } from "../../../../src/services/Database.ts"
import { directory } from "../../../support/fakes/LmdbNativeSubject.ts"
import { dump, nativeOptions, overNative, write } from "../../../support/fixtures/Environments.ts"
import { bytes } from "../../../support/fixtures/ShadowEnvironments.ts"
import { nativeValue } from "../../../support/fixtures/Snapshots.ts"

const d = DbiName.fromText("d")

/** The application commits as many rounds, each of which replaces all values, and is followed by a poll. */
const rounds = Effect.fnUntraced(function* (mode: "native" | "shadow", count: number) {
  const { changes, info } = yield* Database
  for (let round = 0; round < count; round++) {
    yield* write((transaction) => {
      if (!transaction.dbis().some(({ name }) => name === d)) transaction.create(d, 0)
      for (let i = 0; i < 100; i++) {
        const text = `${round} `.repeat(100)
        const value = mode === "native" ? nativeValue(1n, text) : bytes(text)
        const key = bytes(`k${i}`)
        transaction.put(d, key, 0, key.length, value, 0, value.length, false)
      }
    })
    yield* TestClock.adjust("1 second")
    const { tracking } = yield* changes
    assert.isAtMost(tracking!.pinMillis, 1_000, `round ${round}`)
  }
  return (yield* info).fileSize
})

describe("The pin, over a real LMDB", () => {
  for (const mode of ["native", "shadow"] as const) {
    it.effect(`is not older than the last poll, and the file does not grow, ${mode} mode`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const shadow = mode === "shadow" ? { shadow: { dupsortHack: false, createFlags: {} } } : {}
          const options = nativeOptions(`${yield* directory}/lmdb`, { deltas: true, ...shadow })
          yield* Effect.gen(function* () {
            yield* rounds(mode, 1)
            // From here on, the changes are known, and there is a pin.
            yield* dump()
            const early = yield* rounds(mode, 20)
            assert.isAtMost((yield* rounds(mode, 150)) / early, 2)
          }).pipe(Effect.provide(overNative(options)))
        })
      )
    )
  }
})
