/**
 * The keys of a store, from the configuration or from files that may be replaced while the daemon runs. For S3, these
 * are the access key and the secret key; for Azure, the account's key.
 *
 * Files are read again every `secrets_refresh_interval`, and at the next request after `forget`, which is called when
 * the store has refused the keys. A newline at the end is not part of a key. While a file is missing or empty, as
 * during a rotation, the last good keys stay in use, with one warning. `hide` removes the current keys from a text,
 * because servers quote what they were sent.
 */
import { Clock, Duration, Effect, FileSystem, Redacted } from "effect"
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"
import { Refused } from "../../../services/Storage.ts"

export interface Keys {
  readonly id: string
  readonly secret: string
}

export interface KeySource {
  /** The keys as of the last `refresh`. Undefined when none are configured. */
  readonly current: () => Keys | undefined
  readonly refresh: Effect.Effect<void, Refused>
  readonly forget: Effect.Effect<void>
  readonly hide: (text: string) => string
}

export type KeyOptions = Pick<
  S3Options,
  "access_key" | "secret_key" | "access_key_file" | "secret_key_file" | "secrets_refresh_interval"
>

/** `setting` names the configuration keys that hold the file names. */
export const readKey = Effect.fnUntraced(function* (file: string, setting: string) {
  const refuse = (detail: string) =>
    new Refused({ code: "BadKeyFile", detail, advice: `check ${setting}: each file holds one key and nothing else` })
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(file), (error) => refuse(error.message))
  const key = text.replace(/[\r\n]+$/, "")
  return key === "" ? yield* refuse(`${file} is empty`) : key
})

/** Removes the keys from a text. */
type Hide = (keys: Keys, text: string) => string

export const fixed = (keys: Keys | undefined, hide: Hide): KeySource => ({
  current: () => keys,
  refresh: Effect.void,
  forget: Effect.void,
  hide: (text) => (keys === undefined ? text : hide(keys, text))
})

export const watched = Effect.fnUntraced(function* (
  read: Effect.Effect<Keys, Refused, FileSystem.FileSystem>,
  refreshInterval: Duration.Duration,
  hide: Hide
) {
  const fs = yield* FileSystem.FileSystem
  const interval = Duration.toNanosUnsafe(refreshInterval)
  let keys = yield* read
  // Uses the monotonic clock, so that setting the clock back does not postpone the next read.
  let due = (yield* Clock.monotonicTimeNanos) + interval
  let warned = ""

  const refresh = Effect.gen(function* () {
    const now = yield* Clock.monotonicTimeNanos
    if (now < due) return
    due = now + interval
    keys = yield* read
    warned = ""
  }).pipe(
    Effect.catch((error) => {
      if (warned === error.detail) return Effect.void
      warned = error.detail
      return Effect.logWarning(
        `the keys of the storage can't be read again, so the earlier ones stay in use: ${error.detail}: ${error.advice}`
      )
    }),
    Effect.provideService(FileSystem.FileSystem, fs)
  )
  const source: KeySource = {
    current: () => keys,
    refresh,
    forget: Effect.sync(() => {
      due = 0n
    }),
    hide: (text) => hide(keys, text)
  }
  return source
})

/** Shorter keys, such as those of test servers, occur as parts of other words. */
const telling = 8

/**
 * The access key is a name rather than a secret, so a short one may be shown. A short secret is hidden where it is a
 * word of its own.
 */
const hideBoth: Hide = ({ id, secret }, text) => {
  const hidden =
    secret.length < telling
      ? text.replaceAll(new RegExp(`(?<!\\w)${secret.replace(/\W/g, "\\$&")}(?!\\w)`, "g"), "<secret key>")
      : text.replaceAll(secret, "<secret key>")
  return id.length < telling ? hidden : hidden.replaceAll(id, "<access key>")
}

/** Returns the keys of an S3 store. */
export const make = Effect.fnUntraced(function* (options: KeyOptions) {
  const { access_key, access_key_file, secret_key, secret_key_file } = options
  if (access_key_file === "" && secret_key_file === "") {
    const id = access_key === undefined ? "" : Redacted.value(access_key)
    const secret = secret_key === undefined ? "" : Redacted.value(secret_key)
    return fixed(id === "" || secret === "" ? undefined : { id, secret }, hideBoth)
  }
  const setting = "access_key_file and secret_key_file"
  const readBoth = Effect.all({ id: readKey(access_key_file, setting), secret: readKey(secret_key_file, setting) })
  return yield* watched(readBoth, options.secrets_refresh_interval, hideBoth)
})
