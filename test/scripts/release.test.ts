/** What `npm version` does to CHANGELOG.md. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { NodeServices } from "@effect/platform-node"
import { released } from "../../scripts/release.ts"
import { readText } from "../docs/Documents.ts"

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
})
