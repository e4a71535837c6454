/** The decorator is transparent while nothing is scripted, and does what was scripted, once. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as StorageAzure from "../../../src/layers/storage/azure/StorageAzure.ts"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as StorageS3 from "../../../src/layers/storage/s3/StorageS3.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as Azurite from "../../support/servers/Azurite.ts"
import { describeWith } from "../../support/servers/RealServers.ts"
import * as Swift from "../../support/servers/Swift.ts"
import { azureOptions } from "../../support/fixtures/AzureOptionsTest.ts"
import { s3Options } from "../../support/fixtures/S3OptionsTest.ts"
import { suite as faultsSuite } from "../../contracts/storage-faults.ts"
import * as Faults from "../../support/fakes/StorageFaults.ts"
import { read, suite, textOf } from "../../contracts/storage-contract.ts"

const layer = Faults.layer.pipe(Layer.provide(StorageMemory.layer))

suite("memory with no faults", layer)

faultsSuite("memory", StorageMemory.layer)

faultsSuite(
  "fs",
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      return StorageFs.layerWith({ root_path: yield* fs.makeTempDirectoryScoped({ prefix: "storage-faults-" }) })
    })
  ).pipe(Layer.provide(NodeServices.layer))
)

describeWith("Scripted faults, S3 on Swift", await Swift.installed(), (directory) => {
  const options = Effect.map(Swift.Swift, ({ access_key, endpoint_url, secret_key }) =>
    s3Options({ access_key, bucket: "faults", create_bucket: true, endpoint_url, secret_key })
  )
  faultsSuite(
    "s3",
    Layer.unwrap(Effect.map(options, StorageS3.layerWith)).pipe(
      Layer.provide(Layer.provideMerge(Swift.layer(directory), NodeServices.layer))
    )
  )
})

describeWith("Scripted faults, Azure on Azurite", await Azurite.installed(), (directory) => {
  const options = Effect.map(Azurite.Azurite, ({ account_key, account_name, endpoint_url }) =>
    azureOptions({
      account_key,
      account_name,
      container: "faults",
      create_container: true,
      endpoint_url,
      use_shared_key: true
    })
  )
  faultsSuite(
    "azure",
    Layer.unwrap(Effect.map(options, StorageAzure.layerWith)).pipe(
      Layer.provide(Layer.provideMerge(Azurite.layer(directory), NodeServices.layer))
    )
  )
})

describe("StorageFaults", () => {
  it.effect("each fault hits once, in order, and only what it fits", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const faults = yield* Faults.StorageFaults
      yield* storage.store("a", textOf("abcdef"))
      yield* faults.add({ operation: "load", name: "b" }, { kind: "hang" })
      yield* faults.add({ operation: "load", name: /^a/ }, { kind: "cut", bytes: 4 })
      yield* faults.add({ operation: "load" }, { kind: "truncate", bytes: 2 })
      yield* faults.add({ operation: "load" }, { kind: "flip", byte: 1, bit: 0 })
      yield* faults.add({ operation: "load" }, { kind: "extend", tail: new Uint8Array([33]) })
      const seen: Array<number> = []
      const cut = yield* Effect.flip(
        Stream.runForEach(storage.load("a"), (chunk) => Effect.sync(() => seen.push(...chunk)))
      )
      assert.deepStrictEqual([cut.reason, Buffer.from(seen).toString()], [Faults.unavailable, "abcd"])
      assert.strictEqual(String(yield* read("a")), "ab")
      assert.strictEqual(String(yield* read("a")), "accdef")
      assert.strictEqual(String(yield* read("a")), "abcdef!")
      assert.strictEqual(String(yield* read("a")), "abcdef")
      assert.strictEqual((yield* faults.calls).length, 6)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a store may be done although it failed, and a list may be stale", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const faults = yield* Faults.StorageFaults
      yield* faults.add({ operation: "store", times: 2 }, { kind: "fail after", reason: Faults.unavailable })
      for (const name of ["b", "a"]) yield* Effect.flip(storage.store(name, textOf("x")))
      yield* faults.add({ operation: "list" }, { kind: "list hides", name: "a" })
      yield* faults.add({ operation: "list" }, { kind: "list shows", name: "aa", size: 3 })
      const names = Effect.map(storage.list(""), (objects) => objects.map(({ name }) => name))
      assert.deepStrictEqual([yield* names, yield* names, yield* names], [["b"], ["a", "aa", "b"], ["a", "b"]])
      yield* faults.add({ operation: "delete", times: Infinity }, { kind: "fail", reason: Faults.unavailable })
      yield* Effect.flip(storage.delete("a"))
      yield* faults.clear
      yield* storage.delete("a")
      assert.deepStrictEqual(yield* names, ["b"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("calls may take their time: to begin, to time out, and chunk by chunk", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const faults = yield* Faults.StorageFaults
      yield* storage.store("a", textOf("abcdef"))
      yield* faults.add({ operation: "load" }, { kind: "trickle", bytes: 2, pause: "10 seconds" })
      yield* faults.add({ operation: "load" }, { kind: "time out", after: "30 seconds" })
      yield* faults.add({ operation: "list" }, { kind: "time out", after: "30 seconds" })
      const seen: Array<string> = []
      const slow = yield* Effect.forkChild(
        Stream.runForEach(storage.load("a"), (chunk) => Effect.sync(() => seen.push(String(Buffer.from(chunk)))))
      )
      for (const wanted of [[], ["ab"], ["ab", "cd"], ["ab", "cd", "ef"]]) {
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(seen, wanted)
        yield* TestClock.adjust("10 seconds")
      }
      yield* Fiber.join(slow)
      for (const call of [Stream.runDrain(storage.load("a")), Effect.asVoid(storage.list(""))]) {
        const fiber = yield* Effect.forkChild(Effect.flip(call))
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.deepInclude((yield* Fiber.join(fiber)).reason, { _tag: "Unavailable", code: "Timeout" })
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("a list may lag behind: it shows what was there then, with what was deleted since", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const faults = yield* Faults.StorageFaults
      yield* storage.store("a", textOf("x"))
      yield* TestClock.adjust("10 seconds")
      yield* storage.store("b", textOf("x"))
      yield* TestClock.adjust("10 seconds")
      yield* storage.delete("a")
      const names = Effect.map(storage.list(""), (objects) => objects.map(({ name }) => name))
      for (const [behind, wanted] of [
        ["0 seconds", ["b"]],
        ["5 seconds", ["a", "b"]],
        ["15 seconds", ["a"]],
        ["25 seconds", []]
      ] as const) {
        yield* faults.add({ operation: "list" }, { kind: "list lags", behind })
        assert.deepStrictEqual(yield* names, [...wanted])
      }
      assert.deepStrictEqual(yield* names, ["b"])
    }).pipe(Effect.provide(layer))
  )
})
