/** Options of Azure as Settings decodes them, every default filled in, for tests. */
import { Schema } from "effect"
import { AzureOptions } from "../../src/domain/StorageOptions.ts"

const defaults = Schema.decodeSync(AzureOptions)({ container: "container" })

export const azureOptions = (overrides: Partial<AzureOptions>): AzureOptions => ({ ...defaults, ...overrides })
