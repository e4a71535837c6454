/**
 * The signals that end the daemon. The first one is an event; after ten seconds, or at a second one, the process kills
 * itself (137), since anything gentler hangs, and keeps LMDB's write lock taken, while a worker thread is in LMDB: the
 * lock recovers from a kill. See EndProcess.
 *
 * Whoever ends a process often does it twice at once: coreutils' `timeout` signals it and then its group; a terminal
 * signals all of its foreground, a wrapper among them that passes it on. That is one wish, and what is unsent must be
 * sent.
 */
import { Effect, Latch } from "effect"
import type * as Scope from "effect/Scope"
import { killProcess } from "./EndProcess.ts"

/** Milliseconds from the first signal, or from `arm`, to the kill. */
const patience = 10_000

/** Milliseconds from the first signal in which others are the same. */
const sameFor = 500

export interface Signals {
  /** Ends at the first signal, with its name. */
  readonly first: Effect.Effect<string>
  /** From now on the process has ten seconds to end. */
  readonly arm: Effect.Effect<void>
  /** Ends the process at once. */
  readonly killNow: (why: string) => Effect.Effect<never>
}

/** The log is written before this goes on: see Logs. */
const killing = Effect.map(Effect.context<never>(), (context) => (why: string) => {
  Effect.runSyncWith(context)(Effect.logError(`Killing the process: ${why}`))
  killProcess()
})

const killLater = (kill: (why: string) => void): NodeJS.Timeout => {
  // @effect-diagnostics-next-line globalTimers:off -- it must go off whatever the fibers do
  const timer = setTimeout(() => kill("it did not end within 10 s"), patience)
  // It must not keep a process alive that has nothing left to do.
  return timer.unref()
}

/** From now on the process has ten seconds to end, without any signal. */
export const arm: Effect.Effect<void> = Effect.map(killing, (kill) => void killLater(kill))

export const make: Effect.Effect<Signals, never, Scope.Scope> = Effect.gen(function* () {
  const kill = yield* killing
  const latch = Latch.makeUnsafe(false)
  let signal: string | undefined
  let signalledAt = 0
  let timer: NodeJS.Timeout | undefined
  const armOnce = () => {
    timer ??= killLater(kill)
  }
  const listener = (received: string) => {
    const now = performance.now()
    if (signal !== undefined) {
      if (now - signalledAt >= sameFor) kill(`a second signal, ${received}`)
      return
    }
    signal = received
    signalledAt = now
    armOnce()
    latch.openUnsafe()
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      process.on("SIGTERM", listener)
      process.on("SIGINT", listener)
    }),
    () =>
      Effect.sync(() => {
        process.off("SIGTERM", listener)
        process.off("SIGINT", listener)
      })
  )
  return {
    first: Effect.map(latch.await, () => signal!),
    arm: Effect.sync(armOnce),
    killNow: (why) =>
      Effect.suspend(() => {
        kill(why)
        return Effect.never
      })
  }
})
