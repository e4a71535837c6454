/**
 * Connections of both network stores, whatever is sent over them: silent ones, uploads that are refused while they are
 * sent, addresses that do not connect, and timeouts longer than Node's timers.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted, Stream } from "effect"
import { ChildProcess } from "effect/process"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- Node's agents and servers
import * as http from "node:http"
import * as net from "node:net"
import { addressOptions, dialWithin, inOrder } from "../../../../src/layers/storage/network/ConnectTimeout.ts"
import * as StorageAzure from "../../../../src/layers/storage/azure/StorageAzure.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import { type Source, Storage } from "../../../../src/services/Storage.ts"
import { azureOptions } from "../../../support/fixtures/AzureOptionsTest.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"
import { canBeWithoutHome, withoutHome } from "../../../support/Confinement.ts"
import { authority } from "../../../support/servers/Certificates.ts"
import { listing, serve, serveTls } from "../../../support/servers/HandMadeServer.ts"
import { describeWith, pathOf } from "../../../support/servers/RealServers.ts"
import * as RefusingServer from "../../../support/servers/RefusingServer.ts"

type Timeouts = Partial<
  Record<
    | "inactivity_timeout"
    | "dial_timeout"
    | "idle_conn_timeout"
    | "dial_keep_alive"
    | "tls_handshake_timeout"
    | "client_timeout"
    | "init_timeout",
    Duration.Duration
  >
>

const s3 = Effect.fnUntraced(function* (endpoint_url: string, timeouts: Timeouts = {}, ca = "") {
  const keys = { access_key: Redacted.make("AKIATEST"), secret_key: Redacted.make("SECRETKEYTEST") }
  const options = s3Options({ endpoint_url, ...keys, ...timeouts, tls: { ...s3Options({}).tls, ca_file: ca } })
  return Context.get(yield* Layer.build(StorageS3.layerWith(options)), Storage)
})

const azure = Effect.fnUntraced(function* (url: string, timeouts: Timeouts = {}, ca = "") {
  const account = { account_name: "account", account_key: Redacted.make("aw=="), use_shared_key: true }
  const tls = { ...s3Options({}).tls, ca_file: ca }
  const options = azureOptions({ endpoint_url: `${url}/account`, ...account, ...timeouts, tls })
  return Context.get(yield* Layer.build(StorageAzure.layerWith(options)), Storage)
})

const azureListing =
  '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="container"><Blobs/><NextMarker/></EnumerationResults>'

const dialects = [
  { name: "S3", make: s3, emptyListing: listing() },
  { name: "Azure", make: azure, emptyListing: azureListing }
]

const isListing = (request: http.IncomingMessage) => /[?&](?:list-type=2|comp=list)/.test(request.url!)

const read = (storage: typeof Storage.Service) =>
  Stream.runFold(
    storage.load("object"),
    () => 0,
    (size, chunk) => size + chunk.length
  )

/** Listings and an object of three bytes. */
const store =
  (emptyListing: string): http.RequestListener =>
  (request, response) => {
    const [headers, body] = isListing(request)
      ? [{ "content-type": "application/xml" }, emptyListing]
      : [{ etag: '"e"', "content-length": "3" }, "abc"]
    // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
    request.resume().on("end", () => setTimeout(() => response.writeHead(200, headers).end(body), 50))
  }

const silence = { inactivity_timeout: Duration.millis(300) }

for (const { emptyListing, make, name } of dialects) {
  it.layer(NodeServices.layer, { excludeTestServices: true })(`${name}, a connection`, (it) => {
    it.effect("that goes silent is closed after inactivity_timeout, with the idle ones, and a new one works", () =>
      Effect.gen(function* () {
        const deaf = new Set<net.Socket>()
        const seen = new Set<net.Socket>()
        const server = yield* serve((request, response) => {
          seen.add(request.socket)
          if (deaf.has(request.socket)) return
          // Three connections are needed for three requests that are answered together.
          // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
          setTimeout(() => response.writeHead(200, { "content-type": "application/xml" }).end(emptyListing), 100)
        })
        const storage = yield* make(server.endpoint_url, silence)
        yield* Effect.all([storage.list(""), storage.list(""), storage.list("")], { concurrency: 3 })
        assert.strictEqual(seen.size, 3)
        for (const socket of seen) deaf.add(socket)
        const { reason } = yield* Effect.flip(storage.list(""))
        assert.deepInclude(reason, { _tag: "Unavailable", code: "ETIMEDOUT" })
        assert.include(reason.message, "inactivity_timeout")
        yield* storage.list("")
        assert.strictEqual(server.accepted(), 4)
      })
    )

    it.effect("that goes silent in the middle of a body is closed, and says why", () =>
      Effect.gen(function* () {
        const headers = { "content-length": "1000", etag: '"e"' }
        const server = yield* serve((_, response) => void response.writeHead(200, headers).write("x".repeat(500)))
        const { reason } = yield* Effect.flip(read(yield* make(server.endpoint_url, silence)))
        assert.strictEqual(reason._tag, "Unavailable")
        // The SDK of Azure does not say why.
        assert.match(reason.message, /inactivity_timeout|\(ECONNRESET\): the connection was closed in the middle/)
      })
    )

    it.effect("that is slow, whether for the server or for the reader, is not", () =>
      Effect.gen(function* () {
        const server = yield* serve((_, response) => {
          response.writeHead(200, { "content-length": "10", etag: '"e"' })
          let sent = 0
          // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
          const timer = setInterval(() => {
            response.write("x")
            if (++sent === 10) clearInterval(timer)
          }, 100)
        })
        assert.strictEqual(yield* read(yield* make(server.endpoint_url, silence)), 10)
        const size = 8_000_000
        const large = yield* serve((_, response) => {
          response.writeHead(200, { "content-length": String(size), etag: '"e"' }).end(Buffer.alloc(size))
        })
        const storage = yield* make(large.endpoint_url, silence)
        let pauses = 0
        const total = yield* Stream.runFold(
          Stream.tap(storage.load("object"), () => (pauses++ === 0 ? Effect.sleep("1 second") : Effect.void)),
          () => 0,
          (sum, chunk) => sum + chunk.length
        )
        assert.strictEqual(total, size)
      })
    )

    for (const secure of [false, true]) {
      it.effect(`${secure ? "with TLS " : ""}that the server closes after a refusal still gives its response`, () =>
        Effect.gen(function* () {
          const ca = yield* authority
          const issued = yield* ca.issue("server")
          for (const after of [1, 250_000]) {
            const port = yield* RefusingServer.make({ after, ...(secure ? issued : {}) })
            const url = `http${secure ? "s" : ""}://127.0.0.1:${port}`
            const storage = yield* make(url, {}, secure ? ca.certFile : "")
            const busy: Source<never, never> = {
              size: 1_000_000,
              read: (start, end) =>
                Stream.fromIterable(Array.from({ length: (end - start) / 100_000 }, () => 100_000)).pipe(
                  Stream.mapEffect((length) =>
                    Effect.sync(() => {
                      // The connection is closed while this thread does something else.
                      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 15)
                      return new Uint8Array(length)
                    })
                  )
                )
            }
            for (let i = 0; i < 5; i++) {
              const { reason } = yield* Effect.flip(storage.store("object", busy))
              assert.deepInclude(reason, { _tag: "Refused", code: "413" }, reason.message)
              assert.include(reason.message, "size")
            }
          }
        })
      )
    }

    it.effect("has timeouts of more than 24.8 days, the most that a timer of Node can have", () =>
      Effect.gen(function* () {
        const long = Duration.days(30)
        const timeouts: Timeouts = {
          inactivity_timeout: long,
          dial_timeout: long,
          idle_conn_timeout: long,
          dial_keep_alive: long,
          tls_handshake_timeout: long,
          client_timeout: long,
          init_timeout: long
        }
        const ca = yield* authority
        const handler = store(emptyListing)
        const plain = yield* serve(handler)
        const secure = yield* serveTls(yield* ca.issue("server"), handler)
        for (const { endpoint_url } of [plain, secure]) {
          const storage = yield* make(endpoint_url, timeouts, ca.certFile)
          for (let i = 0; i < 3; i++) {
            assert.deepStrictEqual(yield* storage.list(""), [])
            assert.strictEqual(yield* read(storage), 3)
          }
        }
        assert.strictEqual(plain.accepted(), 1)
      })
    )
  })
}

const address = (text: string) => ({ address: text, family: 4 })

/** Nothing listens on the first of them. */
const both: net.LookupFunction = (_, __, callback) => callback(null, ["127.0.0.2", "127.0.0.1"].map(address))

it.layer(NodeServices.layer, { excludeTestServices: true })("the addresses of a name", (it) => {
  it.effect("share dial_timeout, three of them at most, and those that did not connect come last", () =>
    Effect.sync(() => {
      const all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(address)
      assert.deepStrictEqual(inOrder(all, new Set()), all.slice(0, 3))
      assert.deepStrictEqual(inOrder(all, new Set(["10.0.0.1"])), all.slice(1))
      assert.deepStrictEqual(inOrder(all, new Set(all.map((one) => one.address))), all.slice(0, 3))
      assert.strictEqual(addressOptions(new Set(), 9_000).autoSelectFamilyAttemptTimeout, 3_000)
      assert.strictEqual(net.getDefaultAutoSelectFamilyAttemptTimeout(), 3_000)
    })
  )

  it.effect("are remembered when they do not connect, until they do; one that hangs ends after dial_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => void response.end("here"))
      const failed = new Set(["127.0.0.1"])
      const code = (lookup: net.LookupFunction) => {
        const agent = new http.Agent({ lookup })
        dialWithin(agent, 100, failed, () => {})
        return Effect.callback<string | undefined>((resume) => {
          http
            .get({ agent, host: "store.invalid", port: server.port }, (response) => {
              response.resume().on("end", () => resume(Effect.succeed("connected")))
            })
            .on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code)))
        })
      }
      assert.strictEqual(yield* code(both), "connected")
      assert.deepStrictEqual([...failed], ["127.0.0.2"])
      assert.strictEqual(yield* code(() => {}), "ETIMEDOUT")
    })
  )
})

describeWith("a process without a home directory", await canBeWithoutHome(), () => {
  it.layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("uses S3 all the same", () =>
      Effect.gen(function* () {
        const server = yield* serve((_, response) => void response.end(listing("found")))
        const script = pathOf("../processes/s3-names.process.ts")
        const args = [...withoutHome, process.execPath, "--no-warnings", script, server.endpoint_url]
        const handle = yield* ChildProcess.make(args[0]!, args.slice(1))
        const output = yield* Stream.mkString(Stream.decodeText(handle.all))
        assert.strictEqual(output.trim(), "found")
      })
    )
  })
})
