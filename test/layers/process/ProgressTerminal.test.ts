import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as ProgressTerminal from "../../../src/layers/process/ProgressTerminal.ts"
import { bytesText, progressLine, progressText, secondsText } from "../../../src/layers/process/ProgressText.ts"
import { Progress } from "../../../src/services/Progress.ts"

const clear = "\r\x1b[K"

/** What was written to a terminal of so many columns while `use` ran. */
const shown = (columns: number, use: Effect.Effect<void, never, Progress>) => {
  const written: Array<string> = []
  return use.pipe(
    Effect.provide(ProgressTerminal.layerWith({ columns, write: (text) => void written.push(text) })),
    Effect.as(written)
  )
}

/** Half of `total` bytes, and then so much time as there is. */
const half = (total: number | undefined, time: "1 seconds" | "2 seconds") =>
  Effect.scoped(
    Effect.gen(function* () {
      const meter = yield* (yield* Progress).measure({ label: "Downloading x", unit: "bytes", total })
      meter.add(1024 ** 2)
      meter.add(1024 ** 2)
      yield* TestClock.adjust(time)
    })
  )

describe("ProgressTerminal", () => {
  it.effect("shows nothing of work that is done within two seconds", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* shown(80, half(undefined, "1 seconds")), [])
    })
  )

  it.effect("shows the amount, the rate and the time left, and clears the line at the end", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* shown(80, half(4 * 1024 ** 2, "2 seconds")), [
        `${clear}Downloading x: 2.0 MiB of 4.0 MiB (50%), 1.0 MiB/s, 2s left`,
        clear
      ])
    })
  )

  it.effect("shows short works, too, when the command has worked for two seconds", () =>
    Effect.gen(function* () {
      const short = Effect.scoped(
        Effect.gen(function* () {
          const meter = yield* (yield* Progress).measure({ label: "Counting x", unit: "entries", total: 4 })
          meter.add(2)
          yield* TestClock.adjust("1 seconds")
        })
      )
      const written = yield* shown(80, Effect.andThen(short, Effect.andThen(short, short)))
      assert.deepStrictEqual(written[0], `${clear}Counting x: 2 of 4 entries (50%), 2/s, 1s left`)
      // The second work is shown at its end, and the third one all the time.
      assert.strictEqual(written.filter((text) => text === clear).length, 2)
      assert.isAtLeast(written.length, 7)
    })
  )

  it("cuts a long label before the amounts, and never more than its end", () => {
    const name = "main__b__20250101-000000-000000000__GX.pb.gz"
    const work = { label: `Downloading ${name}`, unit: "bytes", total: 4 * 1024 ** 2 } as const
    const line = progressLine(work, 1024 ** 2, 1_000, 79)
    assert.strictEqual(line, "Downloading main__b__20250101-00…: 1.0 MiB of 4.0 MiB (25%), 1.0 MiB/s, 3s left")
    assert.strictEqual(progressLine(work, 1024 ** 2, 1_000, 200), progressText(work, 1024 ** 2, 1_000))
    assert.strictEqual(progressLine(work, 1024 ** 2, 1_000, 40), `Downloading ${name}`.slice(0, 40))
  })

  it.effect("cuts the line to the terminal, since one that wraps could not be written over", () =>
    Effect.gen(function* () {
      const [line] = yield* shown(14, half(undefined, "2 seconds"))
      assert.strictEqual(line, `${clear}Downloading x`)
      const [unknown] = yield* shown(0, half(undefined, "2 seconds"))
      assert.strictEqual(unknown, `${clear}Downloading x: 2.0 MiB, 1.0 MiB/s`)
    })
  )
})

describe("ProgressText", () => {
  it("says sizes in two digits and more, and times as people do", () => {
    assert.deepStrictEqual([0, 999, 1_536, 10_240, 1024 ** 3, 5 * 1024 ** 5].map(bytesText), [
      "0 B",
      "999 B",
      "1.5 KiB",
      "10 KiB",
      "1.0 GiB",
      "5120 TiB"
    ])
    assert.deepStrictEqual([0, 1.2, 59, 60, 185, 3_600, 7_620].map(secondsText), [
      "0s",
      "2s",
      "59s",
      "1m00s",
      "3m05s",
      "1h00m",
      "2h07m"
    ])
  })

  it("never says more than all, and divides by nothing that is 0", () => {
    const work = { label: "x", unit: "entries", total: 10 } as const
    assert.strictEqual(progressText(work, 20, 1_000), "x: 20 of 10 entries (100%), 20/s, 0s left")
    assert.strictEqual(progressText(work, 0, 1_000), "x: 0 of 10 entries (0%), 0/s")
    assert.strictEqual(progressText({ ...work, total: 0 }, 0, 1_000), "x: 0 entries, 0/s")
  })
})
