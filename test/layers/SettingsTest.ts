/** `Settings` as values, for tests of programs: those of a minimal file, and what the test says instead. */
import { Layer } from "effect"
import { effective } from "../../src/domain/EffectiveSettings.ts"
import { Scalar } from "../../src/domain/Scalar.ts"
import { decodeTree } from "../../src/domain/SettingsDecoding.ts"
import { Settings, type SettingsValues } from "../../src/services/Settings.ts"

const minimal = {
  instance: new Scalar("a"),
  spool_directory: new Scalar("/tmp"),
  database_workers: new Scalar("1"),
  lmdbs: { main: { path: new Scalar("/tmp/main"), schema_tracks_changes: new Scalar("true") } },
  storage: { type: new Scalar("memory") }
}

export const make = (overrides: Partial<SettingsValues> = {}): SettingsValues => ({
  ...effective(decodeTree(minimal).settings!),
  ...overrides
})

export const layerWith = (overrides?: Partial<SettingsValues>) => Layer.succeed(Settings, make(overrides))
