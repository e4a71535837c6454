import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Option } from "effect"
import * as DataFileWatch from "../../../src/layers/database/DataFileWatch.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"

const soon = <A>(effect: Effect.Effect<A>) => Effect.timeoutOption(effect, "5 seconds")

describe("DataFileWatch", () => {
  it.live("a commit of another process ends it, each time; nothing does while nobody writes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/data.mdb`
      const application = yield* LmdbApplication.make({ path, mapSize: 2 ** 20 })
      yield* application.write({ do: "create", dbi: "a", flags: 0 })
      const touched = yield* DataFileWatch.watch(path)
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(touched, "200 millis")))
      for (const value of ["01", "02"]) {
        const waiting = yield* Effect.forkChild(soon(touched))
        yield* application.write({ do: "put", dbi: "a", key: "6b", value })
        assert.isTrue(Option.isSome(yield* Fiber.join(waiting)))
        // A commit is several writes: what is left of it is taken, too.
        while (Option.isSome(yield* Effect.timeoutOption(touched, "200 millis"))) {
          /* until it is quiet */
        }
      }
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("a file that cannot be watched never ends it, and is no error", () =>
    Effect.gen(function* () {
      const touched = yield* DataFileWatch.watch("/nowhere/data.mdb")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(touched, "50 millis")))
    }).pipe(Effect.scoped)
  )
})
