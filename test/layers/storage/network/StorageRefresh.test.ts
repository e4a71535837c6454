/**
 * When the files of keys and certificates are looked at again: on virtual time. What they do to requests is in the
 * tests of the stores.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, FileSystem } from "effect"
import { TestClock } from "effect/testing"
import * as KeyFiles from "../../../../src/layers/storage/network/KeyFiles.ts"
import * as TlsContext from "../../../../src/layers/storage/network/TlsContext.ts"
import { authority } from "../../../support/servers/Certificates.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"

it.layer(NodeServices.layer)("The files of a store", (it) => {
  it.effect(
    "with keys are read again after secrets_refresh_interval, not before, also when the clock was set back",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        const [access_key_file, secret_key_file] = [`${directory}/access`, `${directory}/secret`]
        const put = (secret: string) => fs.writeFileString(secret_key_file, secret)
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        yield* fs.writeFileString(access_key_file, "id")
        yield* put("first")
        const keys = yield* KeyFiles.make(
          s3Options({ access_key_file, secret_key_file, secrets_refresh_interval: Duration.seconds(15) })
        )
        const secret = Effect.map(keys.refresh, () => keys.current()?.secret)
        yield* put("second")
        yield* TestClock.adjust("14 seconds")
        assert.strictEqual(yield* secret, "first")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* secret, "second")
        yield* put("third")
        yield* TestClock.setTime(Date.UTC(2025, 0, 1))
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(yield* secret, "third")
        // The store has refused them.
        yield* put("fourth")
        assert.strictEqual(yield* Effect.andThen(keys.forget, secret), "fourth")
      })
  )

  it.effect(
    "with certificates are read again after watch_certs_poll_interval, not before, also when the clock was set back",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const ca_file = `${yield* fs.makeTempDirectoryScoped()}/ca`
        const put = Effect.flatMap(authority, ({ cert }) => fs.writeFileString(ca_file, cert))
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        yield* put
        const { tls } = s3Options({})
        const { context, refresh } = yield* TlsContext.make({
          ...tls,
          ca_file,
          watch_certs_poll_interval: Duration.seconds(5)
        })
        const isNew = Effect.suspend(() => {
          const before = context()
          return Effect.map(refresh, () => context() !== before)
        })
        yield* put
        yield* TestClock.adjust("4 seconds")
        assert.isFalse(yield* isNew)
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* isNew)
        yield* TestClock.adjust("5 seconds")
        assert.isFalse(yield* isNew, "the same content")
        yield* put
        yield* TestClock.setTime(Date.UTC(2025, 0, 1))
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(yield* isNew)
      })
  )
})
