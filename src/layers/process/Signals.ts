/**
 * Handles the signals that end the daemon. The first one is an event, at which programs/Daemon sends pending changes
 * and ends. Ten seconds later, or at a second signal, the process kills itself (137). Anything gentler would hang
 * while a worker thread is inside LMDB, and would keep the write lock taken; the lock recovers from a kill. See
 * EndProcess.
 *
 * Tools often send a signal twice at once: coreutils' `timeout` signals the process and then its group, and a terminal
 * signals all processes in its foreground, including a wrapper that passes the signal on. Such signals count as one, so
 * that pending changes are still sent.
 */
import { Effect, Latch } from "effect"
import type * as Scope from "effect/Scope"
import { killProcess } from "./EndProcess.ts"

/** Milliseconds from the first signal, or from `arm`, to the kill. */
const patience = 10_000

/** Milliseconds after the first signal during which further signals count as the same one. */
const sameFor = 500

export interface Signals {
  /** Completes at the first signal, with its name. */
  readonly first: Effect.Effect<string>
  /** Gives the process ten seconds to end from now on. */
  readonly arm: Effect.Effect<void>
  /** Ends the process at once. */
  readonly killNow: (why: string) => Effect.Effect<never>
}

/** The log entry is written before the call returns: see Logs. */
const killing = Effect.map(Effect.context<never>(), (context) => (why: string) => {
  Effect.runSyncWith(context)(Effect.logError(`Killing the process: ${why}`))
  killProcess()
})

const killLater = (kill: (why: string) => void): NodeJS.Timeout => {
  // @effect-diagnostics-next-line globalTimers:off -- it must go off whatever the fibers do
  const timer = setTimeout(() => kill("it did not end within 10 s"), patience)
  // The timer must not keep a process alive that has nothing left to do.
  return timer.unref()
}

/** Gives the process ten seconds to end from now on, without any signal. */
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
