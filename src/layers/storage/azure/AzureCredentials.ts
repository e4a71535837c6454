/**
 * Signs requests to Azure, either with the account's key (`use_shared_key`), which may be replaced in its file while
 * the daemon runs, or with tokens of Azure's default credential chain, which the SDK fetches and renews.
 */
import type { TokenCredential } from "@azure/identity"
import { Effect, Redacted } from "effect"
import type { AzureOptions } from "../../../domain/settings/StorageOptions.ts"
import { ensureHome } from "../network/HomeDirectory.ts"
import * as KeyFiles from "../network/KeyFiles.ts"
import { systemAuthorities } from "../network/SystemCertificates.ts"

export type Credentials =
  | { readonly _tag: "Key"; readonly keys: KeyFiles.KeySource }
  | { readonly _tag: "Token"; readonly credential: TokenCredential; readonly keys: KeyFiles.KeySource }

/** The account's name is not a secret, because it is part of the URL. */
const hideKey = ({ secret }: KeyFiles.Keys, text: string) => text.replaceAll(secret, "<account key>")

const sharedKey = ({ account_key, account_key_file, account_name: id, secrets_refresh_interval }: AzureOptions) => {
  if (account_key_file === "") {
    const secret = account_key === undefined ? "" : Redacted.value(account_key)
    return Effect.succeed(KeyFiles.fixed(secret === "" ? undefined : { id, secret }, hideKey))
  }
  const read = Effect.map(KeyFiles.readKey(account_key_file, "account_key_file"), (secret) => ({ id, secret }))
  return KeyFiles.watched(read, secrets_refresh_interval, hideKey)
}

/**
 * Token servers differ from the store, so its section `tls` does not apply to them. They are verified with the system's
 * CA certificates rather than the list built into Node.
 */
const defaultChain = Effect.gen(function* () {
  const { DefaultAzureCredential } = yield* Effect.promise(() => import("@azure/identity"))
  const ca = yield* systemAuthorities
  return new DefaultAzureCredential({ tlsOptions: { ca: [...ca] } })
})

export const make = Effect.fnUntraced(function* (options: AzureOptions) {
  yield* ensureHome
  if (options.use_shared_key) return { _tag: "Key", keys: yield* sharedKey(options) } satisfies Credentials
  return {
    _tag: "Token",
    credential: yield* defaultChain,
    keys: KeyFiles.fixed(undefined, hideKey)
  } satisfies Credentials
})
