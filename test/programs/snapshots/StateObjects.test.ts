/** Which objects give the state of an instance, by their names. */
import { assert, describe, it } from "@effect/vitest"
import { newestStates } from "../../../src/programs/snapshots/StateObjects.ts"

const time = (second: number) => `20250101-0000${String(second).padStart(2, "0")}-000000000`
const full = (instance: string, at: number) => `main__${instance}__${time(at)}__GX__D1.pb.gz`
const delta = (instance: string, from: number, to: number) =>
  `main__${instance}__${time(to)}__GX__F${time(from)}.pbd.gz`

/** Sizes fall from one to the next. */
const states = (...names: ReadonlyArray<string>) =>
  newestStates(
    "main",
    names.map((name, index) => ({ name, size: 100 - index, etag: "" }))
  ).map(({ instance, objects, timestampNano }) => ({
    instance,
    names: objects.map(({ object }) => object.name),
    isOfLast: objects.at(-1)!.name.timestampNano === timestampNano
  }))

describe("the objects of a state", () => {
  it("are the newest full snapshot of each instance, by instance", () => {
    const names = [
      full("b", 10),
      full("a", 30),
      full("b", 20),
      "main__c__x",
      "other__a__20250101-000000-000000000__GX.pb.gz"
    ]
    assert.deepStrictEqual(states(...names), [
      { instance: "a", names: [full("a", 30)], isOfLast: true },
      { instance: "b", names: [full("b", 20)], isOfLast: true }
    ])
  })

  it("are that and the deltas that lead on from it, in as few steps as possible", () => {
    const names = [
      full("a", 10),
      full("a", 20),
      delta("a", 10, 15),
      delta("a", 15, 21),
      delta("a", 20, 22),
      delta("a", 21, 24),
      delta("a", 22, 26),
      delta("a", 30, 31),
      full("b", 40)
    ]
    assert.deepStrictEqual(states(...names)[0]!.names, [full("a", 20), delta("a", 20, 22), delta("a", 22, 26)])
  })

  it("take the smaller of two that lead as far, and none without a full snapshot", () => {
    const names = [full("a", 20), delta("a", 19, 25), delta("a", 20, 25), delta("b", 10, 30)]
    assert.deepStrictEqual(states(...names), [
      { instance: "a", names: [full("a", 20), delta("a", 20, 25)], isOfLast: true }
    ])
  })
})
