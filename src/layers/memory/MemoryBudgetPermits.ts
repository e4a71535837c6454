/**
 * `MemoryBudget` as a semaphore per database and budget. Every holder takes one permit, so waiters are served in order
 * and none starves.
 */
import { Clock, Effect, Layer, Semaphore } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import { GarbageCollector } from "../../services/GarbageCollector.ts"
import { type Budget, MemoryBudget } from "../../services/MemoryBudget.ts"
import { add, observe } from "../../services/Metrics.ts"

interface Gate {
  readonly labels: { readonly lmdb: string; readonly limit_name: string }
  readonly limit: number
  readonly semaphore: Semaphore.Semaphore
  active: number
  waiting: number
  bytes: number
}

/**
 * Number of bytes released since the last collection from which another one is worth the 10 ms for which it blocks the
 * thread. Otherwise a stream of deltas, or of snapshots that are quarantined by their names, would keep it busy.
 */
const worthCollecting = 2 ** 20

const secondsSince = (began: bigint) => Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - began) / 1e9)

/** Runs with the permit, which was requested at `asked`. */
const metered = <A, E, R>({ labels }: Gate, asked: bigint, holding: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* add(families.limitAcquired, labels, 1)
    yield* observe(families.limitWaitingSeconds, labels, yield* secondsSince(asked))
    const began = yield* Clock.monotonicTimeNanos
    const held = Effect.flatMap(secondsSince(began), (seconds) => observe(families.limitActiveSeconds, labels, seconds))
    return yield* Effect.ensuring(holding, held)
  })

/** `released` is called with the number of bytes when the scope has closed. */
const countBytes = (gate: Gate, released: (bytes: number) => void) =>
  Effect.acquireRelease(Effect.succeed({ bytes: 0 }), (held) =>
    Effect.sync(() => {
      gate.bytes -= held.bytes
      released(held.bytes)
    })
  ).pipe(
    Effect.map((held) => (bytes: number) => {
      held.bytes += bytes
      gate.bytes += bytes
    })
  )

/** Collects garbage if enough bytes have been released. */
const collecting = Effect.map(GarbageCollector, (collector) => {
  let uncollected = 0
  return {
    release: (bytes: number) => void (uncollected += bytes),
    collect: Effect.suspend(() => {
      if (uncollected < worthCollecting) return Effect.void
      uncollected = 0
      return collector.collect
    })
  }
})

export const layerWith = (limits: Readonly<Record<Budget, number>>) =>
  Layer.effect(
    MemoryBudget,
    Effect.gen(function* () {
      const { collect, release } = yield* collecting
      // The buffers of a merge are in the engine's thread, which collects before it responds. A collection here would
      // find nothing and block for 10 ms.
      const collected: Readonly<Record<Budget, Effect.Effect<void>>> = { download: collect, decompress: Effect.void }
      // Nothing is ever removed, because the databases are those of the configuration.
      const gates = new Map<string, Gate>()
      const gateOf = (database: string, budget: Budget): Gate => {
        const key = `${budget}/${database}`
        const limit = limits[budget]
        const gate = gates.get(key) ?? {
          labels: { lmdb: database, limit_name: budget },
          limit,
          semaphore: Semaphore.makeUnsafe(limit),
          active: 0,
          waiting: 0,
          bytes: 0
        }
        gates.set(key, gate)
        return gate
      }

      /**
       * Counts without a gap in which an interruption could occur. `withPermits` has none, but separate calls of `take`
       * and `release` would.
       */
      const counted = <A, E, R>(gate: Gate, holding: Effect.Effect<A, E, R>) =>
        Effect.uninterruptibleMask((restore) => {
          let entered = false
          gate.waiting++
          const inside = Effect.uninterruptibleMask((restore) => {
            entered = true
            gate.waiting--
            gate.active++
            return Effect.ensuring(
              restore(holding),
              Effect.sync(() => gate.active--)
            )
          })
          return Effect.ensuring(
            restore(gate.semaphore.withPermits(1)(inside)),
            Effect.sync(() => {
              if (!entered) gate.waiting--
            })
          )
        })

      return MemoryBudget.of({
        withPermit: (database, budget) => (use) =>
          Effect.flatMap(Clock.monotonicTimeNanos, (asked) => {
            const gate = gateOf(database, budget)
            return counted(gate, metered(gate, asked, Effect.ensuring(Effect.scoped(use), collected[budget])))
          }),
        hold: (database, budget) =>
          Effect.suspend(() => countBytes(gateOf(database, budget), budget === "download" ? release : () => {})),
        use: (database, budget) =>
          Effect.sync(() => {
            const { active, bytes, limit, waiting } = gateOf(database, budget)
            return { active, bytes, limit, waiting }
          })
      })
    })
  )
