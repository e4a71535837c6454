/** Buckets of the test's Swift server, as settings of the daemon. */
import { Effect, Redacted } from "effect"
import { Swift } from "./Swift.ts"

/** Returns the `storage` section of a configuration. `options` take precedence. */
export const bucketOf = (bucket: string, options: object = {}) =>
  Effect.map(Swift, ({ access_key, endpoint_url, secret_key }) => ({
    type: "s3",
    options: {
      endpoint_url,
      access_key: Redacted.value(access_key),
      secret_key: Redacted.value(secret_key),
      bucket,
      create_bucket: true,
      ...options
    }
  }))
