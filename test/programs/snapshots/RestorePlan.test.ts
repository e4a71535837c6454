import { assert, describe, it } from "@effect/vitest"
import { planOf, type RestoreQuery } from "../../../src/programs/snapshots/RestorePlan.ts"

const time = (second: number) => `20250101-0000${String(second).padStart(2, "0")}-000000000`

const full = (instance: string, second: number, database = "main") =>
  `${database}__${instance}__${time(second)}__GX.pb.gz`

const delta = (instance: string, from: number, to: number) => {
  return `main__${instance}__${time(to)}__GX__F${time(from)}.pbd.gz`
}

const nano = (second: number) => 1_735_689_600_000_000_000n + BigInt(second) * 1_000_000_000n

const names = [
  full("a", 10),
  full("a", 20),
  full("a", 30),
  full("b", 15),
  full("b", 25),
  full("c", 5),
  full("a", 40, "other"),
  delta("a", 30, 32),
  delta("a", 32, 34),
  "start"
]

const objects = names.map((name) => ({ name, size: 1, etag: "" }))

const planned = (query: Partial<RestoreQuery>, without: ReadonlyArray<string> = []) => {
  const all = {
    database: "main",
    snapshot: undefined,
    instance: undefined,
    atNano: undefined,
    retentionNano: undefined,
    ...query
  }
  const { stale, states } = planOf(objects, all, new Set(without))
  const namesOf = (found: typeof states) => found.map((state) => state.objects.map(({ name }) => name.text))
  return { states: namesOf(states), stale: namesOf(stale) }
}

const withDeltas = [full("a", 30), delta("a", 30, 32), delta("a", 32, 34)]

describe("RestorePlan", () => {
  it("the newest state of each instance: a full snapshot, and the deltas that lead on from it", () => {
    assert.deepStrictEqual(planned({}), { states: [withDeltas, [full("b", 25)], [full("c", 5)]], stale: [] })
    assert.deepStrictEqual(planned({ instance: "b" }).states, [[full("b", 25)]])
    assert.deepStrictEqual(planned({ database: "other" }).states, [[full("a", 40, "other")]])
    assert.deepStrictEqual(planned({ database: "mai" }).states, [])
  })

  it("deltas after one that is missing or cannot be used, as they are", () => {
    const query = {
      database: "main",
      snapshot: undefined,
      instance: undefined,
      atNano: undefined,
      retentionNano: undefined
    }
    const beyondOf = (more: Partial<RestoreQuery>, without: ReadonlyArray<string>) =>
      planOf(objects, { ...query, ...more }, new Set(without)).beyond.map(({ name }) => name.text)
    assert.deepStrictEqual(beyondOf({}, []), [])
    assert.deepStrictEqual(beyondOf({}, [delta("a", 30, 32)]), [delta("a", 32, 34)])
    assert.deepStrictEqual(beyondOf({ instance: "b" }, [delta("a", 30, 32)]), [])
    assert.deepStrictEqual(beyondOf({ atNano: nano(33) }, [delta("a", 30, 32)]), [])
    assert.deepStrictEqual(beyondOf({}, [full("a", 10), full("a", 20), full("a", 30)]), [
      delta("a", 30, 32),
      delta("a", 32, 34)
    ])
  })

  it("at a time: nothing that is younger", () => {
    assert.deepStrictEqual(planned({ atNano: nano(25) }).states, [[full("a", 20)], [full("b", 25)], [full("c", 5)]])
    assert.deepStrictEqual(planned({ atNano: nano(25) - 1n }).states, [
      [full("a", 20)],
      [full("b", 15)],
      [full("c", 5)]
    ])
    assert.deepStrictEqual(planned({ atNano: nano(33), instance: "a" }).states, [withDeltas.slice(0, 2)])
    assert.deepStrictEqual(planned({ atNano: nano(9) }).states, [[full("c", 5)]])
  })

  it("one object by its name: a delta with what leads to it, and nothing else", () => {
    assert.deepStrictEqual(planned({ snapshot: full("a", 20) }).states, [[full("a", 20)]])
    assert.deepStrictEqual(planned({ snapshot: delta("a", 30, 32) }).states, [withDeltas.slice(0, 2)])
    assert.deepStrictEqual(planned({ snapshot: delta("b", 26, 28) }).states, [])
    assert.deepStrictEqual(planned({ snapshot: delta("a", 32, 34) }, [delta("a", 30, 32)]).states, [])
    assert.deepStrictEqual(planned({ snapshot: full("a", 21) }).states, [])
  })

  it("without what cannot be used, the next-newest", () => {
    assert.deepStrictEqual(planned({ instance: "a" }, [delta("a", 30, 32)]).states, [[full("a", 30)]])
    assert.deepStrictEqual(planned({ instance: "a" }, [full("a", 30)]).states, [[full("a", 20)]])
    assert.deepStrictEqual(planned({ instance: "c" }, [full("c", 5)]).states, [])
  })

  it("of all instances, without those that are older than the newest by more than the retention", () => {
    const retentionNano = 10_000_000_000n
    assert.deepStrictEqual(planned({ retentionNano }), {
      states: [withDeltas, [full("b", 25)]],
      stale: [[full("c", 5)]]
    })
    assert.deepStrictEqual(planned({ retentionNano, atNano: nano(15) }).stale, [])
    assert.deepStrictEqual(planned({ retentionNano, instance: "c" }).stale, [])
  })
})
