/** What the demonstration says of an entry: where it came from only when that was seen. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Child from "../../bench/Child.ts"
import { type Arrival, Arrivals, type Side } from "../../demo/Arrivals.ts"

const nothing = Symbol("nothing")

/** What has arrived, or nothing after a few looks. */
const arrival = (arrivals: Arrivals) =>
  Effect.timeoutOrElse(arrivals.next, { duration: "100 millis", orElse: () => Effect.succeed(nothing) })

const routeOf = (seen: Arrival | typeof nothing) => (seen === nothing ? nothing : seen.route)

const withSides = <A, E>(use: (a: Side, b: Side) => Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.gen(function* () {
    const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "ls-arrivals-" })
    return yield* use({ name: "a", path: `${directory}/a.mdb` }, { name: "b", path: `${directory}/b.mdb` })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

/** An entry of that time, by another process. */
const put = (side: Side, timestampNano: bigint) =>
  Child.runOnly(new URL("../support/processes/putAt.process.ts", import.meta.url), [
    side.path,
    "fruit",
    "apple",
    String(timestampNano)
  ])

describe("Arrivals", () => {
  for (const [from, to] of [
    ["a", "b"],
    ["b", "a"]
  ] as const) {
    const sidesOf = (a: Side, b: Side) => (from === "a" ? ([a, b] as const) : ([b, a] as const))

    it.live(`an entry of ${from} that is seen there before it is at ${to} has that route, once`, () =>
      withSides(
        Effect.fnUntraced(function* (a, b) {
          const arrivals = new Arrivals(a, b)
          const [first, second] = sidesOf(a, b)
          yield* put(first, 7n)
          assert.strictEqual(yield* arrival(arrivals), nothing)
          yield* put(second, 7n)
          assert.deepStrictEqual(routeOf(yield* arrival(arrivals)), { from, to })
          assert.strictEqual(yield* arrival(arrivals), nothing)
        })
      )
    )

    it.live(`an entry of ${from} that is on both sides at the first look has arrived, from nobody knows where`, () =>
      withSides(
        Effect.fnUntraced(function* (a, b) {
          const arrivals = new Arrivals(a, b)
          const [first, second] = sidesOf(a, b)
          yield* put(first, 7n)
          yield* put(second, 7n)
          assert.deepStrictEqual(routeOf(yield* arrival(arrivals)), undefined)
        })
      )
    )
  }
})
