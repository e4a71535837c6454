/** Daemons in shadow mode, on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { main, put, remove, shadow } from "../../support/fixtures/ShadowEnvironments.ts"
import { makeBucket, makeEnvironment, makeWorld, pass, startDaemon } from "./World.ts"

const lmdbs = { main: { ...SettingsTest.make().lmdbs["main"]!, schema_tracks_changes: false } }

describe("a daemon in shadow mode", () => {
  it.effect("without room for the shadow waits, says so once, and sends when there is room", () =>
    Effect.gen(function* () {
      const { application, bucket, layer, start } = yield* makeWorld({ mapSize: 100_000 })
      const keys = Array.from({ length: 60 }, (_, i) => `key-${100 + i}`)
      yield* application.write(
        put(
          "d",
          keys.map((key) => [key, "v".repeat(1_000)])
        )
      )
      const daemon = yield* start({ settings: { lmdbs } })
      yield* pass(60_000)
      assert.isUndefined(yield* daemon.ended)
      assert.deepStrictEqual(yield* bucket.callsOf("store"), [])
      const said = daemon.logged("Cannot make a snapshot", "Error")
      assert.strictEqual(said.length, 1)
      assert.include(String(said[0]!.fields["error"]), "the map is full")
      assert.deepStrictEqual(yield* daemon.failing, ["main_dump"])
      yield* application.write(remove("d", ...keys.slice(2)))
      yield* pass(10_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
      assert.strictEqual((yield* Effect.provide(shadow("d"), layer, { local: true }))!.length, 2)
    })
  )

  it.effect("two exchange what their applications write and delete, and then nobody sends any more", () =>
    Effect.gen(function* () {
      yield* pass(1_000)
      const bucket = yield* makeBucket
      const [here, there] = [makeEnvironment(), makeEnvironment()]
      yield* here.application.write(put("d", { a: "1", b: "" }))
      yield* there.application.write(put("d", { c: "1" }))
      const settings = { lmdbs }
      yield* startDaemon({ bucket, environments: { main: here }, settings: { ...settings, instance: "here" } })
      yield* startDaemon({ bucket, environments: { main: there }, settings: { ...settings, instance: "there" } })
      const mains = Effect.forEach([here, there], ({ layer }) => Effect.provide(main("d"), layer, { local: true }))
      yield* pass(5_000)
      assert.deepStrictEqual(yield* mains, [
        ["a=1", "b=", "c=1"],
        ["a=1", "b=", "c=1"]
      ])
      yield* here.application.write(remove("d", "c"))
      yield* there.application.write(put("d", { a: "2" }))
      yield* pass(5_000)
      assert.deepStrictEqual(yield* mains, [
        ["a=2", "b="],
        ["a=2", "b="]
      ])
      const sent = (yield* bucket.callsOf("store")).length
      yield* pass(20_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, sent)
      assert.strictEqual(sent, 4)
    })
  )
})
