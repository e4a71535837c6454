import { assert, describe, it } from "@effect/vitest"
import { withoutEffectYet } from "../../../src/domain/settings/UnsupportedSettings.ts"

describe("NotYetSupported", () => {
  it("names once what the file has and what has no effect yet", () => {
    const explicit = [
      ["health", "start", "interval"],
      ["lmdb_scrape_smaps"],
      ["instance"],
      ["lmdbs", "a", "dbi_options", "x"]
    ]
    assert.deepStrictEqual(
      withoutEffectYet(explicit).map((line) => line.split(": ")[0]),
      ["lmdb_scrape_smaps"]
    )
  })
})
