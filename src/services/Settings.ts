/** The effective configuration: decoded and checked, with all defaults filled in. */
import { Context, Schema } from "effect"
import type { SettingsValues } from "../domain/settings/SettingsFile.ts"

export { type LmdbSettings, type SettingsValues, type StorageSettings } from "../domain/settings/SettingsFile.ts"

/** Contains all mistakes in the file, so that they can be corrected in one edit. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  file: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.file} is not usable:\n${this.problems.map((problem) => `  ${problem}`).join("\n")}`
  }
}

export class Settings extends Context.Service<Settings, SettingsValues>()("lightningstream/services/Settings") {}
