import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { learnInTurns, ListedSnapshots } from "../../../src/programs/sync/ListedSnapshots.ts"

const objectOf = (instance: string, second: number, database = "main") => ({
  name: SnapshotName.format({
    database,
    instance,
    timestampNano: 1_700_000_000_000_000_000n + BigInt(second) * 1_000_000_000n,
    format: "gzip"
  }),
  size: 1,
  etag: "e"
})

const texts = (listed: ListedSnapshots, objects: Parameters<ListedSnapshots["by"]>[0]) =>
  Array.from(listed.by(objects), ([instance, snapshots]) => [instance, snapshots.map(({ name }) => name.text)])

describe("ListedSnapshots", () => {
  it("are in order by instance, without what is no snapshot or another database's", () => {
    const [late, early, other] = [objectOf("a", 2), objectOf("a", 1), objectOf("b", 3)]
    const foreignSnapshots = [objectOf("a", 4, "main__x"), { name: "main__notes.txt", size: 1, etag: "e" }]
    const expected = [
      ["a", [early.name, late.name]],
      ["b", [other.name]]
    ]
    const listed = new ListedSnapshots("main")
    // The second time all names are known, those that are none, too.
    for (let i = 0; i < 2; i++)
      assert.deepStrictEqual(texts(listed, [late, ...foreignSnapshots, early, other]), expected)
  })

  it("a name is parsed once, for as long as it is listed", () => {
    const listed = new ListedSnapshots("main")
    const object = objectOf("a", 1)
    const nameNow = () => listed.by([object]).get("a")![0]!.name
    const first = nameNow()
    assert.strictEqual(nameNow(), first)
    listed.by([])
    assert.notStrictEqual(nameNow(), first)
    listed.by([])
    listed.learn([object])
    const learnt = nameNow()
    listed.learn([object])
    assert.strictEqual(nameNow(), learnt)
  })

  it.effect("thousands of names are learnt with turns between", () =>
    Effect.gen(function* () {
      let turns = 0
      const other = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.sync(() => turns++),
            Effect.yieldNow
          )
        )
      )
      const objects = Array.from({ length: 5_000 }, (_, second) => objectOf("a", second))
      const listed = new ListedSnapshots("main")
      yield* learnInTurns(listed, objects)
      yield* Fiber.interrupt(other)
      assert.isAtLeast(turns, 3)
      assert.lengthOf(listed.by(objects).get("a")!, 5_000)
    })
  )
})
