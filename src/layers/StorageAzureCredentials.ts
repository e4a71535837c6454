/**
 * How requests to Azure are signed: with the account's key (`use_shared_key`), which may be replaced in its file while
 * the daemon runs, or with tokens of Azure's default credential chain, which the SDK fetches and renews.
 */
import type { TokenCredential } from "@azure/identity"
import { Effect, Redacted } from "effect"
import type { AzureOptions } from "../domain/StorageOptions.ts"
import * as StorageKeyFiles from "./StorageKeyFiles.ts"
import { systemAuthorities } from "./SystemAuthorities.ts"

export type Credentials =
  | { readonly _tag: "Key"; readonly keys: StorageKeyFiles.KeySource }
  | { readonly _tag: "Token"; readonly credential: TokenCredential; readonly keys: StorageKeyFiles.KeySource }

/** The account's name is no secret: it is in the URL. */
const hideKey = ({ secret }: StorageKeyFiles.Keys, text: string) => text.replaceAll(secret, "<account key>")

const sharedKey = ({ account_key, account_key_file, account_name: id, secrets_refresh_interval }: AzureOptions) => {
  if (account_key_file === "") {
    const secret = account_key === undefined ? "" : Redacted.value(account_key)
    return Effect.succeed(StorageKeyFiles.fixed(secret === "" ? undefined : { id, secret }, hideKey))
  }
  const read = Effect.map(StorageKeyFiles.readKey(account_key_file, "account_key_file"), (secret) => ({ id, secret }))
  return StorageKeyFiles.watched(read, secrets_refresh_interval, hideKey)
}

/**
 * Token servers are others than the store: its section `tls` is not theirs, but the system's CAs are trusted, not a
 * list that node brings along.
 */
const defaultChain = Effect.gen(function* () {
  const { DefaultAzureCredential } = yield* Effect.promise(() => import("@azure/identity"))
  const ca = yield* systemAuthorities
  yield* Effect.yieldNow
  return new DefaultAzureCredential({ tlsOptions: { ca: [...ca] } })
})

export const make = Effect.fnUntraced(function* (options: AzureOptions) {
  if (options.use_shared_key) return { _tag: "Key", keys: yield* sharedKey(options) } satisfies Credentials
  return {
    _tag: "Token",
    credential: yield* defaultChain,
    keys: StorageKeyFiles.fixed(undefined, hideKey)
  } satisfies Credentials
})
