/**
 * The store that the configuration asks for, on real servers: what an operation costs in requests, with and without the
 * update marker.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import * as StorageConfigured from "../../../src/layers/storage/StorageConfigured.ts"
import type { SettingsValues } from "../../../src/services/Settings.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as Azurite from "../../support/servers/Azurite.ts"
import * as CountingProxy from "../../support/servers/CountingProxy.ts"
import { describeWith } from "../../support/servers/RealServers.ts"
import * as Swift from "../../support/servers/Swift.ts"
import { azureOptions } from "../../support/fixtures/AzureOptionsTest.ts"
import { listing, serve } from "../../support/servers/HandMadeServer.ts"
import { s3Options } from "../../support/fixtures/S3OptionsTest.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { suite, textOf } from "../../contracts/storage-contract.ts"

type Settings = SettingsValues["storage"]

const configured = (storage: Settings) =>
  Layer.provide(StorageConfigured.layer, [SettingsTest.layerWith(SettingsTest.make({ storage })), NodeServices.layer])

const build = (storage: Settings) =>
  Effect.map(Layer.build(configured(storage)), (context) => Context.get(context, Storage))

const { cleanup } = SettingsTest.make().storage

const names = (storage: typeof Storage.Service, prefix: string) =>
  Effect.map(storage.list(prefix), (objects) => objects.map(({ name }) => name))

/** `settings`: at this URL, with the bucket, prefix `pre-`. `path`: of the bucket in requests. */
const requestsOf = Effect.fnUntraced(function* (
  port: number,
  path: string,
  settings: (url: string, use_update_marker: boolean) => Settings
) {
  const proxy = yield* CountingProxy.make(port)
  const [marking, other, plain] = [
    yield* build(settings(proxy.endpoint_url, true)),
    yield* build(settings(proxy.endpoint_url, true)),
    yield* build(settings(proxy.endpoint_url, false))
  ]
  // Each makes sure of the bucket with its first operation.
  for (const storage of [marking, other, plain]) yield* storage.list("")
  yield* proxy.requests
  const marker = `${path}/pre-update-marker`

  yield* marking.store("main__a", textOf("x"))
  assert.deepStrictEqual(yield* proxy.requests, [`PUT ${path}/pre-main__a`, `PUT ${marker}`])
  assert.deepStrictEqual(yield* names(other, "main__"), ["main__a"])
  assert.deepStrictEqual(yield* proxy.requests, [`GET ${marker}`, `LIST ${path}/pre-`])
  for (let poll = 0; poll < 5; poll++) yield* other.list("main__")
  assert.deepStrictEqual(
    yield* proxy.requests,
    Array.from({ length: 5 }, () => `GET ${marker}`),
    "an idle poll with the marker"
  )
  for (let poll = 0; poll < 5; poll++) assert.deepStrictEqual(yield* names(plain, "main__"), ["main__a"])
  assert.deepStrictEqual(
    yield* proxy.requests,
    Array.from({ length: 5 }, () => `LIST ${path}/pre-main__`),
    "an idle poll without the marker"
  )

  yield* marking.delete("main__a")
  assert.deepStrictEqual(yield* proxy.requests, [`DELETE ${path}/pre-main__a`, `PUT ${marker}`])
  for (const storage of [marking, other, plain]) assert.deepStrictEqual(yield* names(storage, ""), [])
})

const s3Settings =
  (bucket: string, { access_key, secret_key }: typeof Swift.Swift.Service) =>
  (endpoint_url: string, marked: boolean): Settings => ({
    type: "s3",
    options: s3Options({
      bucket,
      endpoint_url,
      access_key,
      secret_key,
      create_bucket: true,
      global_prefix: "pre-",
      use_update_marker: marked
    }),
    cleanup
  })

/** Answers each request after so long: with a listing, or an object of one byte, which is the marker. */
const serveSlowly = (millis: number) => {
  const seen: Array<string> = []
  return Effect.map(
    serve((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x")
      const isList = searchParams.has("list-type")
      seen.push(isList ? "LIST" : `${request.method} ${pathname}`)
      const body = isList ? listing("a") : request.method === "GET" ? "m" : ""
      const respond = () => void response.writeHead(200, { etag: '"e"' }).end(body)
      // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
      request.resume().on("end", () => void setTimeout(respond, millis))
    }),
    ({ endpoint_url }) => ({ endpoint_url, seen })
  )
}

const marked = (endpoint_url: string, overrides: Parameters<typeof s3Options>[0]): Settings => ({
  type: "s3",
  options: s3Options({
    endpoint_url,
    access_key: Redacted.make("a"),
    secret_key: Redacted.make("s"),
    use_update_marker: true,
    ...overrides
  }),
  cleanup
})

it.layer(NodeServices.layer, { excludeTestServices: true })("StorageConfigured, S3 with an update marker", (it) => {
  it.effect("client_timeout is that of an operation with its marker", () =>
    Effect.gen(function* () {
      const { endpoint_url, seen } = yield* serveSlowly(1_000)
      const storage = yield* build(marked(endpoint_url, { client_timeout: Duration.millis(1_800) }))
      const error = yield* Effect.flip(storage.store("a", textOf("x")))
      assert.include(error.message, "not done within client_timeout (1s 800ms), the update marker included")
      assert.deepStrictEqual(seen, ["PUT /bucket/a", "PUT /bucket/update-marker"])
    })
  )

  it.effect("update_marker_force_list_interval is how long a listing may be used", () =>
    Effect.gen(function* () {
      const { endpoint_url, seen } = yield* serveSlowly(0)
      const storage = yield* build(marked(endpoint_url, { update_marker_force_list_interval: Duration.seconds(1) }))
      yield* storage.list("")
      yield* Effect.sleep("1100 millis")
      yield* storage.list("")
      assert.deepStrictEqual(seen, ["GET /bucket/update-marker", "LIST", "GET /bucket/update-marker", "LIST"])
    })
  )
})

it.layer(NodeServices.layer, { excludeTestServices: true })("StorageConfigured, Azure", (it) => {
  it.effect("who only reads makes no container, whatever create_container says", () =>
    Effect.gen(function* () {
      const methods: Array<string> = []
      const server = yield* serve((request, response) => {
        methods.push(request.method!)
        const isMade = request.method === "PUT"
        const body = isMade
          ? ""
          : `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="container"><Blobs/><NextMarker/></EnumerationResults>`
        request
          .resume()
          .on("end", () => response.writeHead(isMade ? 201 : 200, { "content-type": "application/xml" }).end(body))
      })
      const account = { account_name: "a", account_key: Redacted.make("aw=="), use_shared_key: true }
      const storage: Settings = {
        type: "azure",
        options: azureOptions({ endpoint_url: server.endpoint_url, ...account, create_container: true }),
        cleanup
      }
      for (const [layer, wanted] of [
        [StorageConfigured.readOnly, ["GET"]],
        [StorageConfigured.layer, ["PUT", "GET"]]
      ] as const) {
        methods.length = 0
        const context = yield* Layer.build(
          Layer.provide(layer, [SettingsTest.layerWith(SettingsTest.make({ storage })), NodeServices.layer])
        )
        yield* Context.get(context, Storage).list("")
        assert.deepStrictEqual<ReadonlyArray<string>>(methods, wanted)
      }
    })
  )
})

describeWith("StorageConfigured, S3 on Swift", await Swift.installed(), (directory) => {
  const swift = Layer.provideMerge(Swift.layer(directory), NodeServices.layer)
  suite(
    "s3 on Swift with an update marker",
    Layer.unwrap(
      Effect.map(Swift.Swift, (server) => configured(s3Settings("contract", server)(server.endpoint_url, true)))
    ).pipe(Layer.provide(swift)),
    { runs: 5 }
  )

  it.layer(swift, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("each operation takes the requests that it must, and no more", () =>
      Effect.flatMap(Swift.Swift, (server) => requestsOf(server.port, "/requests", s3Settings("requests", server)))
    )
  })
})

describeWith("StorageConfigured, Azure on Azurite", await Azurite.installed(), (directory) => {
  const azurite = Layer.provideMerge(Azurite.layer(directory), NodeServices.layer)

  it.layer(azurite, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("each operation takes the requests that it must, and no more", () =>
      Effect.gen(function* () {
        const { account_key, account_name, endpoint_url } = yield* Azurite.Azurite
        const { pathname, port } = new URL(endpoint_url)
        yield* requestsOf(Number(port), `${pathname}/requests`, (url, use_update_marker) => ({
          type: "azure",
          options: azureOptions({
            container: "requests",
            endpoint_url: url + pathname,
            account_name,
            account_key,
            use_shared_key: true,
            create_container: true,
            global_prefix: "pre-",
            use_update_marker
          }),
          cleanup
        }))
      })
    )
  })
})
