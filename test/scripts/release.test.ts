/** What `npm version` does: to CHANGELOG.md, and in all. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { NodeServices } from "@effect/platform-node"
import { released } from "../../scripts/release.ts"
import { readText } from "../docs/Documents.ts"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const changelog = "# Changelog\n\n## [Unreleased]\n\n### Fixed\n\n- A fault.\n\n## [1.0.0] - 2026-01-02\n\n- First.\n"

describe("a release", () => {
  it("gives the unreleased changes a version and a date, and an empty section above", () => {
    assert.strictEqual(
      released(changelog, "1.0.1", "2026-02-03"),
      changelog.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.0.1] - 2026-02-03\n")
    )
  })

  it("is refused without changes, without the section, and twice", () => {
    assert.throws(() => released(changelog.replace("- A fault.", ""), "1.0.1", "2026-02-03"), "no unreleased changes")
    assert.throws(() => released("# Changelog\n", "1.0.1", "2026-02-03"), "has not one heading")
    assert.throws(() => released(changelog, "1.0.0", "2026-02-03"), "has version 1.0.0 already")
  })

  it.effect("is possible with our own", () =>
    Effect.gen(function* () {
      const text = yield* readText("CHANGELOG.md")
      assert.include(released(text, "99.0.0", "2026-02-03"), "## [99.0.0] - 2026-02-03\n")
      // Only the headings that the format knows.
      const sections = Array.from(text.matchAll(/^### (.*)$/gm), ([, name]) => name!)
      const known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
      assert.deepStrictEqual(
        sections.filter((name) => !known.includes(name)),
        []
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is made by npm version: the files of the new version, a commit and a tag", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "release-" })
      yield* fs.makeDirectory(`${directory}/scripts`)
      for (const name of ["package.json", "package-lock.json", "CHANGELOG.md", "scripts/release.ts"])
        yield* fs.copyFile(pathOf(`../../../${name}`), `${directory}/${name}`)
      const identity = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
      const env = Object.fromEntries(identity.map((name) => [name, "release@localhost"]))
      const shell = Effect.fnUntraced(function* (line: string) {
        const { code, err, out } = yield* execute(["bash", "-ec", line], { cwd: directory, env })
        assert.strictEqual(code, 0, out + err)
        return out.trim()
      })
      yield* shell("git init --quiet && git add . && git commit --quiet --message first")
      yield* shell("npm version 99.0.0")
      assert.strictEqual(yield* shell("git status --porcelain"), "")
      assert.strictEqual(yield* shell("git tag --points-at HEAD"), "v99.0.0")
      const changed = "CHANGELOG.md\npackage-lock.json\npackage.json"
      assert.strictEqual(yield* shell("git diff --name-only HEAD~1"), changed)
      assert.match(yield* shell("git show HEAD:CHANGELOG.md"), /^## \[99\.0\.0\] - \d{4}-\d\d-\d\d$/m)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
