/** `StorageAzure` on Microsoft's emulator: the contract, and what only a real server shows. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, FileSystem, Layer, Redacted, Stream } from "effect"
import type { AzureOptions } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageAzure from "../../../../src/layers/storage/azure/StorageAzure.ts"
import * as AzureClient from "../../../../src/layers/storage/azure/AzureClient.ts"
import { Storage } from "../../../../src/services/Storage.ts"
import * as Azurite from "../../../support/servers/Azurite.ts"
import { describeWith } from "../../../support/servers/RealServers.ts"
import { azureOptions } from "../../../support/fixtures/AzureOptionsTest.ts"
import { digest, generated, MiB, rssGrowth } from "../../../support/fixtures/GeneratedSource.ts"
import { suite, textOf } from "../../../contracts/storage-contract.ts"

const installed = await Azurite.installed()

const optionsOn = Effect.fnUntraced(function* (overrides: Partial<AzureOptions>) {
  const { account_key, account_name, endpoint_url } = yield* Azurite.Azurite
  return azureOptions({
    account_name,
    account_key,
    endpoint_url,
    use_shared_key: true,
    create_container: true,
    ...overrides
  })
})

const storageOn = Effect.fnUntraced(function* (overrides: Partial<AzureOptions>) {
  return Context.get(yield* Layer.build(StorageAzure.layerWith(yield* optionsOn(overrides))), Storage)
})

const names = (objects: ReadonlyArray<{ readonly name: string }>) => objects.map(({ name }) => name)

const callsOf = (storage: typeof Storage.Service) => [
  Effect.asVoid(storage.list("")),
  Effect.asVoid(storage.store("x", textOf("x"))),
  Stream.runDrain(storage.load("x")),
  storage.delete("x")
]

const wrongKey = Buffer.from("not the key").toString("base64")

describeWith("StorageAzure on Azurite", installed, (directory) => {
  const azurite = Layer.provideMerge(Azurite.layer(directory), NodeServices.layer)

  suite(
    "azure on Azurite",
    Layer.unwrap(
      Effect.map(optionsOn({ container: "contract", global_prefix: "some/where-" }), StorageAzure.layerWith)
    ).pipe(Layer.provide(azurite)),
    { runs: 10 }
  )

  it.layer(azurite, { excludeTestServices: true, timeout: "60 seconds" })("operations", (it) => {
    it.effect(
      "a large object goes up in blocks and comes back byte for byte, in memory that does not grow by its size",
      () =>
        Effect.gen(function* () {
          const storage = yield* storageOn({ container: "large", concurrency: 3 })
          let reading = 0
          const source = generated(200 * MiB + 12_345, () => Effect.sync(() => void reading++))
          const wanted = yield* digest(generated(source.size).read(0, source.size))
          let found = ""
          const growth = yield* rssGrowth(
            Effect.gen(function* () {
              yield* storage.store("object", source)
              found = yield* digest(storage.load("object"))
            })
          )
          assert.deepInclude((yield* storage.list("obj"))[0], { name: "object", size: source.size })
          assert.strictEqual(found, wanted)
          assert.strictEqual(reading, 13)
          // Chunks wait for the garbage collector; 20 MiB leave as much behind as 200.
          assert.isBelow(growth / MiB, 120)
        })
    )

    it.effect("concurrency is how many blocks are under way at once", () =>
      Effect.gen(function* () {
        for (const concurrency of [1, 2]) {
          const storage = yield* storageOn({ container: "concurrency", concurrency })
          let now = 0
          let most = 0
          const source = generated(50 * MiB)
          const counted = {
            size: source.size,
            read: (start: number, end: number) =>
              Stream.suspend(() => {
                most = Math.max(most, ++now)
                return Stream.ensuring(
                  source.read(start, end),
                  Effect.sync(() => void now--)
                )
              })
          }
          yield* storage.store("object", counted)
          assert.strictEqual(most, concurrency)
        }
      })
    )

    it.effect(
      "an upload in blocks whose source fails, or that is interrupted, leaves the old object, and the next one works",
      () =>
        Effect.gen(function* () {
          const storage = yield* storageOn({ container: "blocks" })
          yield* storage.store("object", textOf("old"))
          const breaking = generated(40 * MiB, (start) => (start >= 32 * MiB ? Effect.fail("broken") : Effect.void))
          assert.strictEqual(yield* Effect.flip(storage.store("object", breaking)), "broken")
          const hanging = generated(40 * MiB, (start) => (start >= 32 * MiB ? Effect.never : Effect.void))
          yield* Effect.timeoutOption(storage.store("object", hanging), "700 millis")
          yield* Effect.timeoutOption(storage.store("never seen", hanging), "700 millis")
          assert.strictEqual(String(Buffer.concat(yield* Stream.runCollect(storage.load("object")))), "old")
          assert.deepStrictEqual(names(yield* storage.list("")), ["object"])
          yield* storage.store("object", generated(17 * MiB))
          assert.strictEqual((yield* storage.list(""))[0]?.size, 17 * MiB)
        })
    )

    it.effect("store gives the ETag of the listing, in one request or in blocks", () =>
      Effect.gen(function* () {
        const storage = yield* storageOn({ container: "etags" })
        for (const source of [generated(10), generated(17 * MiB)]) {
          const etag = yield* storage.store("object", source)
          assert.deepStrictEqual(yield* storage.list(""), [{ name: "object", size: source.size, etag: String(etag) }])
        }
      })
    )

    it.effect(
      "a listing goes over pages of 1000",
      () =>
        Effect.gen(function* () {
          const storage = yield* storageOn({ container: "pages", global_prefix: "deep/" })
          const wanted = Array.from({ length: 1_005 }, (_, index) => `object-${String(index).padStart(5, "0")}`)
          yield* Effect.forEach(wanted, (name) => storage.store(name, textOf("x")), { concurrency: 16, discard: true })
          assert.deepStrictEqual(names(yield* storage.list("object-")), wanted)
          assert.lengthOf(yield* storage.list("object-0100"), 5)
        }),
      120_000
    )

    it.effect("global_prefix is put before each name as it is", () =>
      Effect.gen(function* () {
        const all = yield* storageOn({ container: "prefixes" })
        for (const name of ["a/x", "p-c", "p-d/y"]) yield* all.store(name, textOf(name))
        const some = yield* storageOn({ container: "prefixes", global_prefix: "p-" })
        assert.deepStrictEqual(names(yield* some.list("")), ["c", "d/y"])
        yield* some.store("new", textOf("x"))
        yield* some.delete("c")
        assert.deepStrictEqual(names(yield* all.list("")), ["a/x", "p-d/y", "p-new"])
      })
    )
  })

  it.layer(azurite, { excludeTestServices: true, timeout: "60 seconds" })("refusals", (it) => {
    it.effect("a wrong key is refused with what to check, and without the key", () =>
      Effect.gen(function* () {
        yield* (yield* storageOn({ container: "keys" })).list("")
        const storage = yield* storageOn({
          container: "keys",
          create_container: false,
          account_key: Redacted.make(wrongKey)
        })
        for (const call of callsOf(storage)) {
          const error = yield* Effect.flip(call)
          if (error.reason._tag !== "Refused") return assert.fail(error.message)
          assert.match(error.reason.code, /^(AuthenticationFailed|AuthorizationFailure)$/)
          assert.match(error.reason.advice, /account_key|role/)
          assert.notInclude(error.message, wrongKey)
          assert.notInclude(error.message, Azurite.accountKey)
          assert.isTrue(error.retryable)
        }
      })
    )

    it.effect(
      "a missing container is refused by name; create_container makes it once and takes it as it is from then on",
      () =>
        Effect.gen(function* () {
          const storage = yield* storageOn({ container: "missing", create_container: false })
          for (const call of callsOf(storage)) {
            const error = yield* Effect.flip(call)
            assert.deepInclude(error.reason, { _tag: "Refused", code: "ContainerNotFound" })
            assert.include(error.message, `azure container "missing" at http://127.0.0.1:`)
          }
          const making = yield* storageOn({ container: "missing" })
          assert.strictEqual(
            (yield* Effect.flip(storage.list(""))).reason._tag,
            "Refused",
            "not made before it is needed"
          )
          yield* making.store("x", textOf("x"))
          yield* (yield* storageOn({ container: "missing" })).delete("x")
          assert.deepStrictEqual(yield* storage.list(""), [])
          for (const bad of [
            { container: "other", account_key: Redacted.make(wrongKey) },
            { container: "Not_a name" }
          ]) {
            for (const call of callsOf(yield* storageOn(bad))) {
              const error = yield* Effect.flip(call)
              assert.strictEqual(error.operation, "create")
              assert.strictEqual(error.reason._tag, "Refused")
              assert.include(error.message, `create azure container "${bad.container}" at http`)
            }
          }
        })
    )

    it.effect("the key file may be replaced while it runs, newline at the end or not", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        const account_key_file = `${directory}/key`
        const put = (key: string) => fs.writeFileString(account_key_file, key)
        yield* put(`${Azurite.accountKey}\n`)
        const storage = yield* storageOn({
          container: "rotation",
          account_key: Redacted.make(wrongKey),
          account_key_file,
          secrets_refresh_interval: Duration.millis(50)
        })
        yield* storage.list("")
        // Gone or empty for a moment: the last one stays in use.
        yield* put("")
        yield* Effect.sleep(60)
        yield* storage.list("")
        yield* put(wrongKey)
        yield* Effect.sleep(60)
        const error = yield* Effect.flip(storage.list(""))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.notInclude(error.message, wrongKey)
        // A refusal has it read again at once, not after the interval.
        yield* put(Azurite.accountKey)
        yield* storage.list("")
        const missing = yield* Effect.flip(storageOn({ account_key_file: `${directory}/none` }))
        assert.deepInclude(missing.reason, { _tag: "Refused", code: "BadKeyFile" })
        assert.include(missing.message, `${directory}/none`)
        assert.include(missing.message, "account_key_file")
      })
    )

    it.effect("the SDK's client is recreated for a new key only", () =>
      Effect.gen(function* () {
        const azure = yield* AzureClient.make(yield* optionsOn({ container: "clients" }))
        const seen = new Set<unknown>()
        for (let i = 0; i < 3; i++) yield* azure.send((container) => Promise.resolve(seen.add(container)))
        assert.strictEqual(seen.size, 1)
      })
    )
  })
})
