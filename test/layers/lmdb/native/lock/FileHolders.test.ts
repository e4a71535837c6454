/** Who has an LMDB open, by descriptors and by locks. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import { holdersOf, lockersOf, openersOf } from "../../../../../src/layers/lmdb/native/lock/FileHolders.ts"
import * as Application from "../../../../support/Application.ts"
import { eventually } from "../../../../support/Eventually.ts"

layer(NodeServices.layer, { excludeTestServices: true })("FileHolders", (it) => {
  it.effect("finds a process that has the file open, and not its neighbour's", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "holders-" })
      const [held, free] = [`${directory}/held`, `${directory}/free`]
      for (const file of [held, free]) yield* fs.writeFileString(file, "")
      const handle = yield* ChildProcess.make("bash", ["-c", `exec 3<${held}; exec sleep 60`], { stdin: "ignore" })
      yield* eventually(
        "it is found",
        Effect.sync(() => (openersOf([held]).includes(String(handle.pid)) ? true : undefined)),
        () => ""
      )
      assert.deepStrictEqual(holdersOf([held]), [`${handle.pid} (sleep)`])
      assert.deepStrictEqual([lockersOf([held]), openersOf([free]), holdersOf([`${directory}/none`])], [[], [], []])
    })
  )

  it.effect("finds who has an LMDB open by the lock on its lock file alone", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "holders-" })
      const path = `${directory}/main.lmdb`
      yield* Effect.scoped(
        Effect.gen(function* () {
          const application = yield* Application.open(path)
          assert.lengthOf(lockersOf([`${path}-lock`]), 1)
          assert.deepStrictEqual(lockersOf([`${path}-lock`]), openersOf([path]))
          assert.lengthOf(holdersOf([path, `${path}-lock`]), 1)
          yield* application.kill
        })
      )
      assert.deepStrictEqual(holdersOf([path, `${path}-lock`]), [])
    })
  )
})
