/** Options of S3 as Settings decodes them, every default filled in, for tests. */
import { Schema } from "effect"
import { S3Options } from "../../src/domain/StorageOptions.ts"

const defaults = Schema.decodeSync(S3Options)({ bucket: "bucket" })

export const s3Options = (overrides: Partial<S3Options>): S3Options => ({ ...defaults, ...overrides })
