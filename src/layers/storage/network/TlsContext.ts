/**
 * The TLS context of a store's connections: the trusted CA certificates and the client certificate from the section
 * `tls`.
 *
 * Guarantees: without a CA in that section, the system's CA certificates are trusted (including SSL_CERT_FILE and
 * SSL_CERT_DIR), and never the list built into Node. Files are checked every `watch_certs_poll_interval`, and new
 * connections use their content. While the files are unusable (half replaced, or a key that does not match the
 * certificate), the last good context stays in use, with one warning.
 */
import { Clock, Duration, Effect, FileSystem, Redacted } from "effect"
import * as tls from "node:tls"
import type { Tls } from "../../../domain/settings/StorageOptions.ts"
import { Refused } from "../../../services/Storage.ts"
import { systemAuthorities } from "./SystemCertificates.ts"

export interface TlsState {
  /** The context for the next connection. */
  readonly context: () => tls.SecureContext
  /** Must be run before requests. It is cheap until the interval has passed. */
  readonly refresh: Effect.Effect<void>
}

interface Material {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const badTls = (detail: string) =>
  new Refused({
    code: "BadTls",
    detail,
    advice: "check the files and texts of storage.options.tls: they must be PEM, key and certificate one pair"
  })

const readMaterial = Effect.fnUntraced(function* (options: Tls) {
  const fs = yield* FileSystem.FileSystem
  const text = (file: string, inline: string) =>
    file === "" ? Effect.succeed(inline) : Effect.mapError(fs.readFileString(file), (error) => badTls(error.message))
  return {
    ca: yield* text(options.ca_file, options.ca),
    cert: yield* text(options.cert_file, options.cert),
    key: yield* text(options.key_file, options.key === undefined ? "" : Redacted.value(options.key))
  }
})

const contextOf = Effect.fnUntraced(function* (options: Tls, { ca, cert, key }: Material) {
  if (ca !== "" && !ca.includes("-----BEGIN ")) return yield* badTls("the CA is not PEM")
  const own = ca === "" ? [] : [ca]
  const all = ca === "" || options.add_system_ca_pool ? [...own, ...(yield* systemAuthorities)] : own
  return yield* Effect.try({
    try: () => tls.createSecureContext({ ca: all, ...(cert === "" ? {} : { cert, key }) }),
    // OpenSSL describes the problem and never quotes the input.
    catch: (cause) => badTls(cause instanceof Error ? cause.message : String(cause))
  })
})

export const make = Effect.fnUntraced(function* (options: Tls) {
  const fs = yield* FileSystem.FileSystem
  let material: Material = yield* readMaterial(options)
  let context = yield* contextOf(options, material)
  const watched = options.ca_file !== "" || options.cert_file !== "" || options.key_file !== ""
  const interval = Duration.toNanosUnsafe(options.watch_certs_poll_interval)
  // Uses the monotonic clock, so that setting the clock back does not postpone the next check.
  let checked = yield* Clock.monotonicTimeNanos
  let warned = ""

  const reload = Effect.gen(function* () {
    const found = yield* readMaterial(options)
    if (found.ca === material.ca && found.cert === material.cert && found.key === material.key) return
    context = yield* contextOf(options, found)
    material = found
    warned = ""
  }).pipe(
    Effect.catch((error) => {
      if (warned === error.detail) return Effect.void
      warned = error.detail
      return Effect.logWarning(
        `storage.options.tls: the changed files can't be used, so the earlier ones stay in use: ${error.detail}: ${error.advice}`
      )
    }),
    Effect.provideService(FileSystem.FileSystem, fs)
  )
  const state: TlsState = {
    context: () => context,
    refresh: watched
      ? Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
          if (now - checked < interval) return Effect.void
          checked = now
          return reload
        })
      : Effect.void
  }
  return state
})
