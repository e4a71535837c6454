/**
 * Deltas while the data file is changed under a daemon: the application enlarges its map, or somebody puts a compacted
 * copy in its place. The daemon ends and says so, a supervisor starts it again, and nothing is lost on either side.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { megabyte } from "../../support/Application.ts"
import {
  arrives,
  converge,
  isSent,
  makeBucket,
  makeSide,
  mapSizeUsual,
  records,
  recordsOf,
  type Side
} from "../../support/DeltaSide.ts"

const modes = ["native", "shadow"] as const

/** Bytes: enough for the records of both. */
const mapSizeSmall = 2 * megabyte

const largeBytes = 500_000

/** Two sides with daemons that have exchanged a delta; the other one goes on while the first one's file changes. */
const makePair = Effect.fnUntraced(function* (mode: (typeof modes)[number]) {
  const { storage } = yield* makeBucket()
  const settings = { delta_snapshots: "always" }
  const here = yield* makeSide({
    instance: "here",
    mode,
    storage,
    settings,
    entries: recordsOf("here"),
    mapSize: mapSizeSmall
  })
  const there = yield* makeSide({ instance: "there", mode, storage, settings, entries: recordsOf("there") })
  const daemon = yield* here.start
  const other = yield* there.start
  yield* arrives(here, "there-7", new Map(recordsOf("there")).get("there-7")!)
  // The first snapshot was of one side's records: a delta with those of the other may be as large as that.
  for (const value of ["first", "before"]) {
    yield* here.put("here-8", value)
    yield* arrives(there, "here-8", value)
  }
  yield* daemon.logged("Stored snapshot", isSent("delta"))
  return { here, there, daemon, other }
})

/** After a restart both have what was written meanwhile, and what is written now is sent as deltas. */
const goOn = Effect.fnUntraced(function* (
  { here, other, there }: Effect.Success<ReturnType<typeof makePair>>,
  application: Effect.Success<ReturnType<Side["open"]>>
) {
  const daemon = yield* here.start
  yield* daemon.logged("Initial sync complete")
  yield* converge(application, there)
  const from = daemon.log.length
  yield* application.put("here-9", "after")
  yield* arrives(there, "here-9", "after")
  yield* daemon.logged("Stored snapshot", isSent("delta"), from)
  yield* there.put("there-9", "after")
  yield* arrives({ ...application, instance: "here" }, "there-9", "after")
  yield* converge(application, there)
  assert.isUndefined(other.log.find(({ level }) => level === "error"))
})

layer(NodeServices.layer, { excludeTestServices: true })("deltas, and a data file that changes", (it) => {
  const patience = 180_000
  for (const mode of modes) {
    it.effect(
      `the application enlarges the map: the daemon ends, and goes on after a restart, ${mode} mode`,
      () =>
        Effect.gen(function* () {
          const pair = yield* makePair(mode)
          const { daemon, here, there } = pair
          yield* here.kill
          const larger = yield* here.open(mapSizeUsual)
          // Beyond the old map.
          for (let i = 0; i < 6; i++) yield* larger.put(`large-${i}`, "v".repeat(largeBytes))
          yield* there.put("there-8", "meanwhile")
          assert.strictEqual(yield* daemon.ended, 1)
          assert.include(daemon.text(), "another process enlarged the map")
          yield* larger.put("here-10", "while it was down")
          yield* goOn(pair, larger)
          const held = yield* there.list
          assert.strictEqual(held.size, 2 * records + 6)
          assert.strictEqual(held.get("large-5")?.length, largeBytes)
        }),
      patience
    )

    it.effect(
      `a compacted copy takes the place of the file: it ends, and goes on after a restart, ${mode} mode`,
      () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const pair = yield* makePair(mode)
          const { daemon, here, there } = pair
          yield* here.send({ do: "compact", to: `${here.path}.copy` })
          yield* here.kill
          yield* there.put("there-8", "meanwhile")
          yield* fs.rename(`${here.path}.copy`, here.path)
          assert.strictEqual(yield* daemon.ended, 1)
          assert.include(daemon.text(), "the data file was replaced or removed while it was open")
          const compacted = yield* here.open(mapSizeSmall)
          yield* compacted.put("here-10", "while it was down")
          yield* goOn(pair, compacted)
          assert.strictEqual((yield* there.list).size, 2 * records)
          assert.strictEqual((yield* there.list).get("there-8"), "meanwhile")
        }),
      patience
    )
  }
})
