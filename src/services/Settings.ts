/** The configuration in effect: decoded, checked, every default filled in. */
import { Context, Schema } from "effect"
import type { SettingsValues } from "../domain/settings/SettingsFile.ts"

export { type LmdbSettings, type SettingsValues, type StorageSettings } from "../domain/settings/SettingsFile.ts"

/** All mistakes in the file at once, so that one edit corrects them. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  file: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.file} is not usable:\n${this.problems.map((problem) => `  ${problem}`).join("\n")}`
  }
}

export class Settings extends Context.Service<Settings, SettingsValues>()("lightningstream/services/Settings") {}
