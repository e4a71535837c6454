import { assert, describe, it } from "@effect/vitest"
import { notYetSupported, withoutEffectYet } from "../../../src/domain/settings/UnsupportedSettings.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"

describe("NotYetSupported", () => {
  it("a native database and nothing else is supported", () => {
    assert.deepStrictEqual(notYetSupported(SettingsTest.make()), [])
  })

  it("names what can't be done yet by its key path", () => {
    const settings = SettingsTest.make()
    const refused = notYetSupported({
      ...settings,
      http: { address: ":8500" }
    })
    assert.deepStrictEqual(
      refused.map((line) => line.split(": ")[0]),
      ["http.address"]
    )
  })

  it("with only_once there would be no HTTP server anyway", () => {
    assert.deepStrictEqual(notYetSupported(SettingsTest.make({ http: { address: ":8500" }, only_once: true })), [])
  })

  it("names once what the file has and what has no effect yet", () => {
    const explicit = [
      ["health", "start", "interval"],
      ["health", "start", "warn_duration"],
      ["lmdb_scrape_smaps"],
      ["instance"],
      ["lmdbs", "a", "dbi_options", "x"]
    ]
    assert.deepStrictEqual(
      withoutEffectYet(explicit).map((line) => line.split(": ")[0]),
      ["lmdb_scrape_smaps", "health"]
    )
  })
})
