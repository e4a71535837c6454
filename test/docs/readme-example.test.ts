/** The example of the README: what it shows is this file, and it runs. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readText } from "./Documents.ts"
import { program } from "./TwoInstances.ts"

describe("the README's example of swapped layers", () => {
  it.live("what is put into one LMDB in memory arrives in the other, through a bucket in memory", () =>
    Effect.gen(function* () {
      const { arrived, codes, objects } = yield* program
      assert.strictEqual(arrived, "admin")
      assert.deepStrictEqual(codes, [0, 0])
      assert.match(objects.join(), /^main__here__\d{8}-\d{6}-\d{9}__GX__D1\.pb\.gz$/)
    })
  )

  it.effect("the README shows the file that runs", () =>
    Effect.gen(function* () {
      const [readme, example] = yield* Effect.all([readText("README.md"), readText("test/docs/TwoInstances.ts")])
      assert.include(readme, `\`\`\`ts\n${example}\`\`\``)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
