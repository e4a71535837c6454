/** The site of the documents is built, and each link and anchor in it leads somewhere: MkDocs fails otherwise. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const script = pathOf("../../../scripts/site/build.sh")

layer(NodeServices.layer, { excludeTestServices: true })("the site", (it) => {
  it.effect("has every document", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const out = yield* fs.makeTempDirectoryScoped({ prefix: "site-" })
      assert.deepStrictEqual(yield* execute([script, out]), { code: 0, out: "", err: "" })
      for (const name of yield* fs.readDirectory(pathOf("../../../docs"))) {
        if (!name.endsWith(".md")) continue
        const page = yield* fs.readFileString(`${out}/docs/${name.slice(0, -3)}/index.html`)
        assert.include(page, "<h1")
      }
    })
  )
})
