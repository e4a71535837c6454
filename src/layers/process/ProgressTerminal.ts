/**
 * `Progress` on standard error, if that is a terminal: one line that is overwritten, and erased when the work is done.
 */
import { Clock, Effect, Layer } from "effect"
import { type Meter, Progress, type Work } from "../../services/Progress.ts"
import { progressLine } from "./ProgressText.ts"
import * as TerminalLine from "./TerminalLine.ts"

/**
 * Time from the beginning of the first work in which nothing is shown. A command may consist of many short works, as
 * for many databases.
 */
const silentMillis = 2_000

/** Interval at which the count is read. */
const interval = "200 millis"

const usualColumns = 80

/** The parts of standard error that are needed here. */
export interface Screen {
  /** Number of columns, or 0 if it is unknown. */
  readonly columns: number
  readonly write: (text: string) => void
}

const show = Effect.fnUntraced(function* (screen: Screen, work: Work, count: () => number, shownFrom: number) {
  const began = yield* Clock.currentTimeMillis
  let shown = false
  yield* Effect.addFinalizer(() => Effect.sync(() => (shown ? screen.write(TerminalLine.eraseLine) : undefined)))
  for (;;) {
    yield* Effect.sleep(interval)
    const now = yield* Clock.currentTimeMillis
    if (now < shownFrom) continue
    const elapsed = now - began
    // A line that wraps could not be overwritten.
    const width = (screen.columns || usualColumns) - 1
    screen.write(`${TerminalLine.eraseLine}${progressLine(work, count(), elapsed, width)}`)
    shown = true
  }
}, Effect.scoped)

const silentMeter: Meter = { add: () => {} }

export const silent: Layer.Layer<Progress> = Layer.succeed(Progress, { measure: () => Effect.succeed(silentMeter) })

export const layerWith = (screen: Screen): Layer.Layer<Progress> =>
  Layer.sync(Progress, () => {
    let shownFrom: number | undefined
    return Progress.of({
      measure: Effect.fnUntraced(function* (work) {
        shownFrom ??= (yield* Clock.currentTimeMillis) + silentMillis
        let done = 0
        yield* Effect.forkScoped(show(screen, work, () => done, shownFrom))
        const add = (amount: number) => void (done += amount)
        return { add } satisfies Meter
      })
    })
  })

export const layer: Layer.Layer<Progress> = Layer.unwrap(
  Effect.sync(() => {
    const { stderr } = process
    return stderr.isTTY
      ? layerWith({
          get columns() {
            return stderr.columns
          },
          write: (text) => {
            stderr.write(text)
            TerminalLine.setShown(text !== TerminalLine.eraseLine)
          }
        })
      : silent
  })
)
