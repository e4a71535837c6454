/**
 * `StorageAzure` when the network or the server is not well: every call ends, says why, and releases its socket.
 * Credentials that are tokens.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { AzureOptions } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageAzure from "../../../../src/layers/storage/azure/StorageAzure.ts"
import { type Source, Storage } from "../../../../src/services/Storage.ts"
import { authority } from "../../../support/servers/Certificates.ts"
import { pathOf } from "../../../support/servers/RealServers.ts"
import { azureOptions } from "../../../support/fixtures/AzureOptionsTest.ts"
import { serve, serveRaw, serveTls, serveTunnel } from "../../../support/servers/HandMadeServer.ts"
import { answer, calls, eventually, networkContract, reasonsOf } from "../../../contracts/network-contract.ts"
import { sourceOf, textOf } from "../../../contracts/storage-contract.ts"

const secret = Buffer.from("the account's key").toString("base64")

const storageAt = Effect.fnUntraced(function* (url: string, overrides: Partial<AzureOptions> = {}) {
  const options = azureOptions({
    endpoint_url: `${url}/account`,
    account_name: "account",
    account_key: Redacted.make(secret),
    use_shared_key: true,
    client_timeout: Duration.seconds(5),
    ...overrides
  })
  return Context.get(yield* Layer.build(StorageAzure.layerWith(options)), Storage)
})

const xml = { "content-type": "application/xml" }

const errorXml = (code: string, message = "of the test") =>
  `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}\nRequestId:1234\nTime:2026-01-01T00:00:00Z</Message></Error>`

/** The answer to a listing with these blobs of one byte. */
const listing = (...names: ReadonlyArray<string>) =>
  `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="container"><Blobs>${names
    .map(
      (name) =>
        `<Blob><Name>${name}</Name><Properties><Content-Length>1</Content-Length><Etag>0x1</Etag></Properties></Blob>`
    )
    .join("")}</Blobs><NextMarker/></EnumerationResults>`

const reasonsAt = (url: string, overrides?: Partial<AzureOptions>) =>
  Effect.flatMap(storageAt(url, overrides), reasonsOf)

const namesAt = Effect.fnUntraced(function* (...args: Parameters<typeof storageAt>) {
  return (yield* (yield* storageAt(...args)).list("")).map(({ name }) => name)
})

const withEnvironment = (env: Record<string, string>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))

it.layer(NodeServices.layer, { excludeTestServices: true })("StorageAzure, a bad network", (it) => {
  it.effect("a server that never answers: each call ends after client_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      for (const reason of yield* reasonsAt(server.endpoint_url, { client_timeout: Duration.millis(150) })) {
        assert.deepInclude(reason, { _tag: "Unavailable", code: "Timeout" })
      }
      yield* eventually(() => server.connections() === 0)
      for (const call of calls(
        yield* storageAt(server.endpoint_url, { create_container: true, init_timeout: Duration.millis(100) })
      )) {
        const { message, operation, reason } = yield* Effect.flip(call)
        assert.deepInclude(reason, {
          _tag: "Unavailable",
          code: "Timeout",
          detail: "not done within init_timeout (100ms)"
        })
        assert.strictEqual(operation, "create")
        assert.match(message, /^create \w+ container "\w+" at http/)
      }
    })
  )

  it.effect("a body that is cut short is an error, and not asked for again", () =>
    Effect.gen(function* () {
      for (const end of ["end", "resetAndDestroy"] as const) {
        let requests = 0
        const server = yield* serve((_, response) => {
          requests++
          response
            .writeHead(200, { "content-length": "1000", etag: '"1"' })
            .write("x".repeat(500), () => response.socket?.[end]())
        })
        const storage = yield* storageAt(server.endpoint_url)
        const error = yield* Effect.flip(Stream.runDrain(storage.load("object")))
        assert.match(error.reason._tag, /^(Unavailable|WrongSize)$/)
        assert.isTrue(error.retryable)
        assert.strictEqual(requests, 1)
      }
    })
  )

  it.effect(
    "5xx and throttling are unavailable at the first answer, whether the body is Azure's or a page of some proxy",
    () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [status: number, body: string, code: string]> = [
          [500, errorXml("InternalError"), "InternalError"],
          [503, errorXml("ServerBusy"), "ServerBusy"],
          [503, "<html><body>Service <br> Unavailable</body></html>", "503"],
          [502, "Bad Gateway", "502"],
          [504, "", "504"],
          [429, errorXml("TooManyRequests"), "TooManyRequests"],
          [409, errorXml("ContainerBeingDeleted"), "ContainerBeingDeleted"]
        ]
        for (const [status, body, code] of cases) {
          let requests = 0
          const server = yield* serve((request, response) => {
            requests++
            answer(status, body, xml)(request, response)
          })
          for (const reason of yield* reasonsAt(server.endpoint_url))
            assert.deepInclude(reason, { _tag: "Unavailable", code })
          assert.strictEqual(requests, 4)
        }
      })
  )

  it.effect("3xx and 4xx are refused, with advice, and redirects are not followed", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [status: number, body: string, code: string, advice: RegExp]> = [
        [403, errorXml("AuthenticationFailed"), "AuthenticationFailed", /account_key/],
        [
          403,
          errorXml("AuthorizationPermissionMismatch"),
          "AuthorizationPermissionMismatch",
          /Storage Blob Data Contributor/
        ],
        [
          403,
          errorXml("KeyBasedAuthenticationNotPermitted"),
          "KeyBasedAuthenticationNotPermitted",
          /use_shared_key to false/
        ],
        [403, "<html>no</html>", "403", /role/],
        [302, "", "302", /endpoint_url/],
        [400, errorXml("InvalidResourceName"), "InvalidResourceName", /container/],
        [400, errorXml("OutOfRangeInput"), "OutOfRangeInput", /container/],
        [405, "no", "405", /endpoint_url/],
        [404, errorXml("ContainerNotFound"), "ContainerNotFound", /create_container/],
        [404, "<html>not here</html>", "404", /endpoint_url/]
      ]
      for (const [status, body, code, advice] of cases) {
        const server = yield* serve(answer(status, body, { ...xml, location: "http://127.0.0.1:1/" }))
        for (const reason of yield* reasonsAt(server.endpoint_url)) {
          if (reason._tag !== "Refused") return assert.fail(reason.message)
          assert.strictEqual(reason.code, code)
          assert.match(reason.advice, advice)
          assert.notInclude(reason.message, "RequestId")
        }
      }
    })
  )

  it.effect("a key that a server quotes is not in the message", () =>
    Effect.gen(function* () {
      const server = yield* serve(answer(403, errorXml("AuthenticationFailed", `with ${secret}`), xml))
      const error = yield* Effect.flip((yield* storageAt(server.endpoint_url)).list(""))
      assert.include(error.message, "with <account key>")
    })
  )

  it.effect("an answer that is no listing is unavailable", () =>
    Effect.gen(function* () {
      for (const body of ["<html><body>Welcome", "not XML at all <", listing("a").slice(0, -60)]) {
        const server = yield* serve(answer(200, body, xml))
        const error = yield* Effect.flip((yield* storageAt(server.endpoint_url)).list(""))
        assert.strictEqual(error.reason._tag, "Unavailable", body)
      }
    })
  )

  it.effect("an interruption ends the request and waits for that", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* serve((request) => void (request.resume(), requests++))
      const storage = yield* storageAt(server.endpoint_url)
      const endless: Source<never, never> = {
        size: 3,
        read: () => Stream.concat(textOf("ab").read(0, 2), Stream.never)
      }
      for (const call of [...calls(storage), Effect.asVoid(storage.store("x", endless))]) {
        const before = requests
        const fiber = yield* Effect.forkChild(call)
        yield* Effect.timeoutOption(
          eventually(() => requests > before),
          "300 millis"
        )
        yield* Fiber.interrupt(fiber)
        yield* eventually(() => server.connections() === 0)
      }
    })
  )

  it.effect(
    "a block that fails in passing is sent again, the others are not, and the last request names them in order",
    () =>
      Effect.gen(function* () {
        const blocks: Array<string> = []
        let list = ""
        const server = yield* serve((request, response) => {
          const id = new URL(request.url ?? "", "http://x").searchParams.get("blockid")
          let body = ""
          request
            .on("data", (chunk: Buffer) => (body += id === null ? chunk.toString() : ""))
            .on("end", () => {
              if (id === null) list = body
              else blocks.push(id)
              if (id !== null && blocks.length === 2) return response.writeHead(503, xml).end(errorXml("ServerBusy"))
              response.writeHead(201, { etag: '"1"' }).end()
            })
        })
        const storage = yield* storageAt(server.endpoint_url)
        yield* storage.store("object", sourceOf(Array.from({ length: 34 }, () => new Uint8Array(1_000_000))))
        const [first, second, again, third] = blocks
        assert.deepStrictEqual([blocks.length, again], [4, second])
        assert.deepStrictEqual(
          Array.from(list.matchAll(/<Latest>(.*?)<\/Latest>/g), ([, id]) => id),
          [first, second, third]
        )
        assert.strictEqual(new Set(blocks.map((id) => id.length)).size, 1)
      })
  )

  it.effect("a source that fails ends the store with that, and the request", () =>
    Effect.gen(function* () {
      const server = yield* serve((request) => void request.resume().on("error", () => {}))
      const storage = yield* storageAt(server.endpoint_url)
      const broken: Source<"broken", never> = {
        size: 100_000,
        read: () => Stream.concat(Stream.succeed(new Uint8Array(50_000)), Stream.fail("broken" as const))
      }
      assert.strictEqual(yield* Effect.flip(storage.store("object", broken)), "broken")
      yield* eventually(() => server.connections() === 0)
    })
  )

  it.effect("connections are reused, and idle ones end after idle_conn_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serve(answer(200, listing("p"), xml))
      const storage = yield* storageAt(server.endpoint_url, { idle_conn_timeout: Duration.millis(300) })
      for (let i = 0; i < 5; i++) yield* storage.list("")
      assert.deepStrictEqual([server.accepted(), server.connections()], [1, 1])
      yield* eventually(() => server.connections() === 0)
    })
  )

  it.effect("a proxy of the environment is used, with or without a scheme, but not for localhost", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const proxy = yield* serve((request, response) => {
        asked.push(request.url ?? "")
        answer(200, listing("by-proxy"), xml)(request, response)
      })
      const direct = yield* serve(answer(200, listing("direct"), xml))
      for (const http_proxy of [`127.0.0.1:${proxy.port}`, proxy.endpoint_url]) {
        const namesBy = (url: string) => withEnvironment({ http_proxy })(namesAt(url))
        assert.deepStrictEqual(yield* namesBy("http://store.example:9000"), ["by-proxy"])
        assert.match(asked.at(-1) ?? "", /^http:\/\/store\.example:9000\/account\/container/)
        assert.deepStrictEqual(yield* namesBy(direct.endpoint_url), ["direct"])
      }
      assert.lengthOf(asked, 2)
    })
  )

  it.effect("a tunnel that takes too long ends after dial_timeout", () =>
    Effect.gen(function* () {
      // One that is there in time stays, however long the answer takes.
      const slow = yield* serve((request, response) => {
        // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
        setTimeout(() => answer(200, listing("slow"), xml)(request, response), 300)
      })
      assert.lengthOf(yield* (yield* storageAt(slow.endpoint_url, { dial_timeout: Duration.millis(100) })).list(""), 1)
      const deaf = yield* serveRaw()
      const tunnel = yield* storageAt("https://store.example", { dial_timeout: Duration.millis(200) }).pipe(
        withEnvironment({ https_proxy: `http://127.0.0.1:${deaf.port}` })
      )
      assert.deepInclude((yield* Effect.flip(tunnel.list(""))).reason, { _tag: "Unavailable", code: "ETIMEDOUT" })
      yield* eventually(() => deaf.connections() === 0)
    })
  )

  it.effect("over TLS: through a tunnel, and only to a server that the CA vouches for", () =>
    Effect.gen(function* () {
      const [ca, other] = [yield* authority, yield* authority]
      const { cert, key } = yield* ca.issue("server")
      const server = yield* serveTls({ cert, key }, answer(200, listing("secure"), xml))
      const { tls } = azureOptions({})
      const names = (url: string, ca: string) => namesAt(url, { tls: { ...tls, ca } })
      assert.deepStrictEqual(yield* names(server.endpoint_url, ca.cert), ["secure"])
      assert.deepInclude((yield* Effect.flip(names(server.endpoint_url, other.cert))).reason, { _tag: "Refused" })
      const asked: Array<string | undefined> = []
      const proxy = yield* serveTunnel(server.port, ({ url }) => asked.push(url))
      const through = names("https://store.example", ca.cert).pipe(
        withEnvironment({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` })
      )
      assert.deepStrictEqual([yield* through, asked], [["secure"], ["store.example:443"]])
    })
  )

  it.effect(
    "without use_shared_key a token of the credential chain is sent; when there is none, the message says how to give one",
    () =>
      Effect.gen(function* () {
        const ca = yield* authority
        const { cert, key } = yield* ca.issue("server")
        const seen: Array<string | undefined> = []
        const store = yield* serveTls({ cert, key }, (request, response) => {
          seen.push(request.headers.authorization)
          answer(200, listing("found"), xml)(request, response)
        })
        // What hands out tokens to machines in Azure.
        const tokens = yield* serve((request, response) => {
          const isToken = request.url?.includes("resource=https%3A%2F%2Fstorage.azure.com")
          const token = {
            access_token: "TOKEN",
            expires_in: "3600",
            expires_on: "32503680000",
            resource: "https://storage.azure.com",
            token_type: "Bearer"
          }
          answer(isToken ? 200 : 400, JSON.stringify(isToken ? token : {}), { "content-type": "application/json" })(
            request,
            response
          )
        })
        const output = (env: Record<string, string>) =>
          Effect.gen(function* () {
            const args = [
              "--no-warnings",
              pathOf("../processes/azure-names.process.ts"),
              store.endpoint_url,
              ca.certFile
            ]
            const handle = yield* ChildProcess.make(process.execPath, args, { env: { HOME: "/nonexistent", ...env } })
            return (yield* Stream.mkString(Stream.decodeText(handle.stdout))).trim()
          })
        const machine = {
          AZURE_TOKEN_CREDENTIALS: "ManagedIdentityCredential",
          AZURE_POD_IDENTITY_AUTHORITY_HOST: tokens.endpoint_url
        }
        assert.strictEqual(yield* output(machine), "found")
        assert.deepStrictEqual(seen, ["Bearer TOKEN"])
        assert.match(
          yield* output({ AZURE_TOKEN_CREDENTIALS: "EnvironmentCredential" }),
          /storage refused the request \(\w+Error\).*set use_shared_key/
        )
        assert.lengthOf(seen, 1)
      })
  )
})

networkContract({ name: "StorageAzure", etag: '"1"', storageAt })
