/** `StorageS3` on a real server: the contract, and what only a real server shows. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, FileSystem, Layer, Redacted, Stream } from "effect"
import type { S3Options } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import * as S3Client from "../../../../src/layers/storage/s3/S3Client.ts"
import { Storage } from "../../../../src/services/Storage.ts"
import { describeWith } from "../../../support/servers/RealServers.ts"
import * as Swift from "../../../support/servers/Swift.ts"
import * as Versitygw from "../../../support/servers/Versitygw.ts"
import { digest, generated, MiB, rssGrowth } from "../../../support/fixtures/GeneratedSource.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"
import { suite, textOf } from "../../../contracts/storage-contract.ts"

const servers = [
  { server: "Swift", found: await Swift.installed(), layer: Swift.layer },
  { server: "versitygw", found: await Versitygw.installed(), layer: Versitygw.layer }
]

const optionsOn = Effect.fnUntraced(function* (overrides: Partial<S3Options>) {
  const { access_key, endpoint_url, secret_key } = yield* Swift.Swift
  return s3Options({ endpoint_url, access_key, secret_key, create_bucket: true, ...overrides })
})

const storageOn = Effect.fnUntraced(function* (overrides: Partial<S3Options>) {
  return Context.get(yield* Layer.build(StorageS3.layerWith(yield* optionsOn(overrides))), Storage)
})

const names = (objects: ReadonlyArray<{ readonly name: string }>) => objects.map(({ name }) => name)

const uploadsLeft = Effect.fnUntraced(function* (options: S3Options) {
  const { ListMultipartUploadsCommand } = yield* Effect.promise(() => import("@aws-sdk/client-s3"))
  const s3 = yield* S3Client.make(options)
  const { Uploads = [] } = yield* s3.send((client, send) =>
    client.send(new ListMultipartUploadsCommand({ Bucket: options.bucket }), send)
  )
  return Uploads.length
})

for (const { found, layer, server } of servers)
  describeWith(`StorageS3 on ${server}`, found, (directory) => {
    const swift = Layer.provideMerge(layer(directory), NodeServices.layer)

    suite(
      `s3 on ${server}`,
      Layer.unwrap(
        Effect.map(optionsOn({ bucket: "contract", global_prefix: "some/where-" }), StorageS3.layerWith)
      ).pipe(Layer.provide(swift)),
      { runs: 10 }
    )

    it.layer(swift, { excludeTestServices: true, timeout: "60 seconds" })("operations", (it) => {
      it.effect(
        "a large object goes up in parts and comes back byte for byte, in memory that does not grow by its size",
        () =>
          Effect.gen(function* () {
            const storage = yield* storageOn({ bucket: "large", num_minio_threads: 3 })
            const source = generated(200 * MiB + 12_345)
            const wanted = yield* digest(source.read(0, source.size))
            let found = ""
            const growth = yield* rssGrowth(
              Effect.gen(function* () {
                yield* storage.store("object", source)
                found = yield* digest(storage.load("object"))
              })
            )
            assert.deepInclude((yield* storage.list("obj"))[0], { name: "object", size: source.size })
            assert.strictEqual(found, wanted)
            // Chunks wait for the garbage collector; 20 MiB leave as much behind as 200.
            assert.isBelow(growth / MiB, 120)
          })
      )

      it.effect(
        "an upload in parts whose source fails, or that is interrupted, leaves the old object and no parts",
        () =>
          Effect.gen(function* () {
            const options = yield* optionsOn({ bucket: "parts" })
            const storage = yield* storageOn(options)
            yield* storage.store("object", textOf("old"))
            const breaking = generated(40 * MiB, (start) => (start >= 32 * MiB ? Effect.fail("broken") : Effect.void))
            assert.strictEqual(yield* Effect.flip(storage.store("object", breaking)), "broken")
            assert.strictEqual(yield* uploadsLeft(options), 0)
            const hanging = generated(40 * MiB, (start) => (start >= 32 * MiB ? Effect.never : Effect.void))
            yield* Effect.timeoutOption(storage.store("object", hanging), "700 millis")
            assert.strictEqual(yield* uploadsLeft(options), 0)
            assert.strictEqual(String(Buffer.concat(yield* Stream.runCollect(storage.load("object")))), "old")
          })
      )

      it.effect(
        "a listing goes over pages of 1000",
        () =>
          Effect.gen(function* () {
            const storage = yield* storageOn({ bucket: "pages", global_prefix: "deep/" })
            const wanted = Array.from({ length: 1_005 }, (_, index) => `object-${String(index).padStart(5, "0")}`)
            yield* Effect.forEach(wanted, (name) => storage.store(name, textOf("x")), {
              concurrency: 16,
              discard: true
            })
            assert.deepStrictEqual(names(yield* storage.list("object-")), wanted)
            assert.lengthOf(yield* storage.list("object-0100"), 5)
          }),
        120_000
      )

      it.effect("prefixes and directories are as configured", () =>
        Effect.gen(function* () {
          const all = yield* storageOn({ bucket: "directories" })
          for (const name of ["a/x", "b", "p-c", "p-d/y/z"]) yield* all.store(name, textOf("x"))
          const list = (overrides: Partial<S3Options>, prefix: string) =>
            Effect.flatMap(storageOn({ bucket: "directories", ...overrides }), (storage) =>
              Effect.map(storage.list(prefix), names)
            )
          assert.deepStrictEqual(yield* list({}, ""), ["a/x", "b", "p-c", "p-d/y/z"])
          assert.deepStrictEqual(yield* list({ prefix_folders: true }, ""), ["a/", "b", "p-c", "p-d/"])
          assert.deepStrictEqual(yield* list({ hide_folders: true }, ""), ["b", "p-c"])
          assert.deepStrictEqual(yield* list({ global_prefix: "p-" }, ""), ["c", "d/y/z"])
          assert.deepStrictEqual(yield* list({ global_prefix: "p-", hide_folders: true }, "c"), ["c"])
        })
      )

      it.effect("objects without Content-MD5 are stored, too", () =>
        Effect.gen(function* () {
          const storage = yield* storageOn({ bucket: "no-md5", disable_send_content_md5: true })
          yield* storage.store("small", textOf("x"))
          yield* storage.store("large", generated(17 * MiB))
          assert.deepStrictEqual(
            (yield* storage.list("")).map(({ size }) => size),
            [17 * MiB, 1]
          )
        })
      )
    })

    it.layer(swift, { excludeTestServices: true, timeout: "60 seconds" })("refusals", (it) => {
      it.effect("wrong keys are refused with what to check, and without the keys", () =>
        Effect.gen(function* () {
          yield* (yield* storageOn({ bucket: "keys" })).list("")
          const wrong = { bucket: "keys", create_bucket: false }
          const cases = [
            { options: { ...wrong, access_key: Redacted.make("nobody:here") }, advice: /access_key/ },
            { options: { ...wrong, secret_key: Redacted.make("Wr0ngSecret") }, advice: /secret_key/ }
          ]
          for (const { advice, options } of cases) {
            const storage = yield* storageOn(options)
            for (const call of [
              storage.list(""),
              storage.store("x", textOf("x")),
              Stream.runDrain(storage.load("x"))
            ]) {
              const error = yield* Effect.flip(call)
              if (error.reason._tag !== "Refused") return assert.fail(error.message)
              // Amazon says InvalidAccessKeyId; versitygw has a name of its own.
              assert.match(error.reason.code, /^(?:SignatureDoesNotMatch|XAdminUserNotFound)$/)
              assert.match(error.reason.advice, advice)
              assert.notMatch(error.message, /nobody:here|Wr0ngSecret|SECRETKEYTEST/)
              assert.isTrue(error.retryable)
            }
          }
        })
      )

      it.effect(
        "a missing bucket is refused by name; create_bucket makes it once and takes it as it is from then on",
        () =>
          Effect.gen(function* () {
            const storage = yield* storageOn({ bucket: "missing", create_bucket: false })
            for (const call of [
              storage.list(""),
              storage.store("x", textOf("x")),
              Stream.runDrain(storage.load("x"))
            ]) {
              const error = yield* Effect.flip(call)
              assert.deepInclude(error.reason, { _tag: "Refused", code: "NoSuchBucket" })
              assert.include(error.message, `s3 bucket "missing" at http://127.0.0.1:`)
            }
            const making = yield* storageOn({ bucket: "missing" })
            assert.strictEqual(
              (yield* Effect.flip(storage.list(""))).reason._tag,
              "Refused",
              "not made before it is needed"
            )
            yield* making.store("x", textOf("x"))
            yield* (yield* storageOn({ bucket: "missing" })).delete("x")
            assert.deepStrictEqual(yield* storage.list(""), [])
            const bad = yield* storageOn({ bucket: "other", access_key: Redacted.make("nobody:here") })
            for (const call of [
              bad.list(""),
              bad.store("x", textOf("x")),
              Stream.runDrain(bad.load("x")),
              bad.delete("x")
            ]) {
              const error = yield* Effect.flip(call)
              assert.strictEqual(error.operation, "create")
              assert.strictEqual(error.reason._tag, "Refused")
              assert.match(error.message, /^create s3 bucket "other" at http.*access_key/)
            }
          })
      )

      it.effect("key files may be replaced while it runs, newline at the end or not", () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const directory = yield* fs.makeTempDirectoryScoped()
          const [access_key_file, secret_key_file] = [`${directory}/access`, `${directory}/secret`]
          const put = (secret: string) => fs.writeFileString(secret_key_file, secret)
          yield* fs.writeFileString(access_key_file, `${Redacted.value((yield* Swift.Swift).access_key)}\n`)
          yield* put("SECRETKEYTEST\n")
          const storage = yield* storageOn({
            bucket: "rotation",
            access_key: Redacted.make("not"),
            secret_key: Redacted.make("used"),
            access_key_file,
            secret_key_file,
            secrets_refresh_interval: Duration.millis(50)
          })
          yield* storage.list("")
          // Gone or empty for a moment: the last ones stay in use.
          yield* put("")
          yield* Effect.sleep(60)
          yield* storage.list("")
          yield* put("Wr0ngSecret")
          yield* Effect.sleep(60)
          const error = yield* Effect.flip(storage.list(""))
          assert.deepInclude(error.reason, { _tag: "Refused", code: "SignatureDoesNotMatch" })
          assert.notInclude(error.message, "Wr0ngSecret")
          // A refusal has them read again at once, not after the interval.
          yield* put("SECRETKEYTEST")
          yield* storage.list("")
          const missing = yield* Effect.flip(storageOn({ access_key_file, secret_key_file: `${directory}/none` }))
          assert.deepInclude(missing.reason, { _tag: "Refused", code: "BadKeyFile" })
          assert.match(missing.message, /^open s3 bucket "\w+" at http.*secret_key_file/)
          assert.include(missing.message, `${directory}/none`)
        })
      )
    })
  })
