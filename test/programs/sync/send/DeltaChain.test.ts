/** Where deltas start: few objects on every path, few copies of each change, few bookmarks. */
import { assert, describe, it } from "@effect/vitest"
import { DeltaChain } from "../../../../src/programs/sync/send/DeltaChain.ts"

const full = { timestampNano: 1_000n, size: 1_000, entries: 100, storedMillis: 0 }

interface Delta {
  readonly from: number
  readonly to: number
}

/** That many deltas, each from where the chain says. */
const deltasOf = (count: number) => {
  let chain = DeltaChain.after(full)
  let keptMost = 0
  const deltas: Array<Delta> = []
  for (let to = 1; to <= count; to++) {
    assert.include(chain.keptNano, chain.fromNano)
    deltas.push({ from: Number(chain.fromNano - full.timestampNano), to })
    chain = chain.followedBy({ timestampNano: full.timestampNano + BigInt(to), size: 10 })
    keptMost = Math.max(keptMost, chain.keptNano.length)
  }
  return { chain, deltas, keptMost }
}

/** Objects that a receiver at `through` loads to reach the newest state, taking the longest step each time. */
const pathLength = (deltas: ReadonlyArray<Delta>, through: number, newest: number): number => {
  let steps = 0
  for (let at = through; at < newest; steps++) {
    const next = deltas.findLast(({ from, to }) => from <= at && to > at && to <= newest)
    if (next === undefined) return Infinity
    at = next.to
  }
  return steps
}

describe("DeltaChain", () => {
  it("starts each delta 1, 16, 256 … before it", () => {
    const { deltas } = deltasOf(600)
    for (const [n, from] of [
      [1, 0],
      [2, 1],
      [15, 14],
      [16, 0],
      [17, 16],
      [32, 16],
      [33, 32],
      [256, 0],
      [272, 256],
      [512, 256]
    ] as const)
      assert.deepStrictEqual(deltas[n - 1], { from, to: n })
  })

  it("has few objects on the path from the full snapshot to any delta, and one for who follows", () => {
    const count = 4_096
    const { deltas, keptMost } = deltasOf(count)
    for (let newest = 1; newest <= count; newest += 7) {
      const known = deltas.slice(0, newest)
      assert.isAtMost(pathLength(known, 0, newest), 45)
      assert.strictEqual(pathLength(known, newest - 1, newest), 1)
    }
    assert.isAtMost(keptMost, 4)
  })

  it("a full snapshot begins it again, and its bytes count from there", () => {
    const { chain } = deltasOf(20)
    assert.deepInclude(chain, { count: 20, bytes: 200 })
    assert.strictEqual(chain.lastNano, 1_020n)
    const next = DeltaChain.after({ ...full, timestampNano: chain.lastNano })
    assert.deepInclude(next, { count: 0, bytes: 0 })
    assert.deepStrictEqual([next.fromNano, next.lastNano, next.keptNano], [1_020n, 1_020n, [1_020n]])
  })
})
