/** `StorageS3` when the network or the server is not well: every call ends, says why, and releases its socket. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, Fiber, Layer, Redacted, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's servers
import type * as http from "node:http"
import type { S3Options } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import { type Source, Storage } from "../../../../src/services/Storage.ts"
import { errorXml, listing, serve, serveRaw, serveTunnel } from "../../../support/servers/HandMadeServer.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"
import { answer, calls, eventually, networkContract, reasonsOf } from "../../../contracts/network-contract.ts"
import { sourceOf, textOf } from "../../../contracts/storage-contract.ts"

const keys = { access_key: Redacted.make("AKIATEST"), secret_key: Redacted.make("SECRETKEYTEST") }

const storageAt = Effect.fnUntraced(function* (endpoint_url: string, overrides: Partial<S3Options> = {}) {
  const options = s3Options({ endpoint_url, ...keys, client_timeout: Duration.seconds(5), ...overrides })
  return Context.get(yield* Layer.build(StorageS3.layerWith(options)), Storage)
})

const reasonsAt = (endpoint_url: string, overrides?: Partial<S3Options>) =>
  Effect.flatMap(storageAt(endpoint_url, overrides), reasonsOf)

/** A source that is as announced the first time it is read, and like `second` from then on. */
const again = (second: Source<"broken", never>["read"]): Source<"broken", never> => {
  let reads = 0
  return {
    size: 100_000,
    read: (start, end) => (reads++ === 0 ? Stream.succeed(new Uint8Array(100_000)) : second(start, end))
  }
}

const storageBy = (https_proxy: string) =>
  storageAt("https://store.example").pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { https_proxy } })))
  )

it.layer(NodeServices.layer, { excludeTestServices: true })("StorageS3, a bad network", (it) => {
  it.effect("a server that never answers: each call ends after client_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      for (const reason of yield* reasonsAt(server.endpoint_url, { client_timeout: Duration.millis(150) })) {
        assert.deepInclude(reason, { _tag: "Unavailable", code: "Timeout" })
      }
      yield* eventually(() => server.connections() === 0)
      for (const call of calls(
        yield* storageAt(server.endpoint_url, { create_bucket: true, init_timeout: Duration.millis(100) })
      )) {
        const { message, operation, reason } = yield* Effect.flip(call)
        assert.deepInclude(reason, {
          _tag: "Unavailable",
          code: "Timeout",
          detail: "not done within init_timeout (100ms)"
        })
        assert.strictEqual(operation, "create")
        assert.match(message, /^create \w+ bucket "\w+" at http/)
      }
    })
  )

  it.effect(
    "with create_bucket, a server that is down at the start is an outage: the bucket is made when it answers, once",
    () =>
      Effect.gen(function* () {
        let isDown = true
        const requests: Array<string> = []
        const server = yield* serve((request, response) => {
          requests.push(`${request.method} ${request.url!.split("?")[0]}`)
          answer(isDown ? 503 : 200, isDown ? "" : listing())(request, response)
        })
        const storage = yield* storageAt(server.endpoint_url, { create_bucket: true })
        assert.deepStrictEqual(requests, [])
        for (const call of calls(storage)) {
          const error = yield* Effect.flip(call)
          assert.deepInclude(error, { operation: "create", name: "" })
          assert.strictEqual(error.reason._tag, "Unavailable")
          assert.isTrue(error.retryable)
        }
        isDown = false
        requests.length = 0
        yield* Effect.all([storage.list(""), storage.list("")], { concurrency: 2 })
        yield* storage.delete("x")
        assert.deepStrictEqual(requests, ["PUT /bucket/", "GET /bucket/", "GET /bucket/", "DELETE /bucket/x"])
      })
  )

  it.effect("keys that are short are no holes in other words of a message", () =>
    Effect.gen(function* () {
      const [access_key, secret_key] = [Redacted.make("a"), Redacted.make("sec")]
      const server = yield* serve(
        answer(403, errorXml("AccessDenied").replace("of the test", "a second sec of secrets"))
      )
      const { reason } = yield* Effect.flip(
        (yield* storageAt(server.endpoint_url, { access_key, secret_key })).list("")
      )
      assert.deepInclude(reason, { detail: "a second <secret key> of secrets" })
    })
  )

  it.effect("a body that is cut short is an error, however the server ends it", () =>
    Effect.gen(function* () {
      const cut = yield* serve((_, response) => {
        response
          .writeHead(200, { "content-length": "1000", etag: '"e"' })
          .write("x".repeat(500), () => response.socket?.end())
      })
      const chunked = yield* serve((_, response) => {
        response.writeHead(200, { etag: '"e"' }).write("x".repeat(500), () => response.socket?.end())
      })
      for (const { endpoint_url } of [cut, chunked]) {
        const storage = yield* storageAt(endpoint_url)
        const error = yield* Effect.flip(Stream.runDrain(storage.load("object")))
        assert.match(error.reason._tag, /^(Unavailable|WrongSize)$/)
        assert.isTrue(error.retryable)
      }
    })
  )

  it.effect(
    "5xx and throttling are unavailable at the first answer, whether the body is S3's or a page of some proxy",
    () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [status: number, body: string, code: string]> = [
          [500, errorXml("InternalError"), "InternalError"],
          [503, errorXml("SlowDown"), "SlowDown"],
          [503, "<html><body>Service <br> Unavailable</body></html>", "503"],
          [502, "Bad Gateway", "502"],
          [504, "", "504"],
          [429, errorXml("TooManyRequests"), "TooManyRequests"],
          [400, errorXml("RequestTimeout"), "RequestTimeout"]
        ]
        for (const [status, body, code] of cases) {
          let requests = 0
          const server = yield* serve((request, response) => {
            requests++
            answer(status, body, { "content-type": "application/xml" })(request, response)
          })
          for (const reason of yield* reasonsAt(server.endpoint_url))
            assert.deepInclude(reason, { _tag: "Unavailable", code })
          assert.strictEqual(requests, 4)
        }
      })
  )

  it.effect("3xx and 4xx are refused, with advice", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [status: number, body: string, code: string, advice: RegExp]> = [
        [403, errorXml("AccessDenied"), "AccessDenied", /may list, read, write and delete/],
        [403, errorXml("RequestTimeTooSkewed"), "RequestTimeTooSkewed", /clock/],
        [403, "<html>no</html>", "403", /may list/],
        [301, errorXml("PermanentRedirect"), "PermanentRedirect", /region/],
        [400, errorXml("AuthorizationHeaderMalformed"), "AuthorizationHeaderMalformed", /region/],
        [405, "no", "405", /endpoint_url/],
        [404, errorXml("NoSuchBucket"), "NoSuchBucket", /create_bucket/]
      ]
      for (const [status, body, code, advice] of cases) {
        const server = yield* serve(answer(status, body))
        for (const reason of yield* reasonsAt(server.endpoint_url)) {
          if (reason._tag !== "Refused") return assert.fail(reason.message)
          assert.strictEqual(reason.code, code)
          assert.match(reason.advice, advice)
        }
      }
    })
  )

  it.effect("a 404 that is not about an object is refused: this is no S3 server", () =>
    Effect.gen(function* () {
      const server = yield* serve(answer(404, "<html>not here</html>"))
      const storage = yield* storageAt(server.endpoint_url)
      for (const call of [Effect.asVoid(storage.list("")), Effect.asVoid(storage.store("x", textOf("x")))]) {
        const error = yield* Effect.flip(call)
        assert.deepInclude(error.reason, { _tag: "Refused", code: "404" })
        assert.include(error.message, "endpoint_url")
      }
    })
  )

  it.effect("keys that a server quotes are not in the message", () =>
    Effect.gen(function* () {
      const body = `<Error><Code>AccessDenied</Code><Message>key AKIATEST with SECRETKEYTEST</Message></Error>`
      const server = yield* serve(answer(403, body))
      const error = yield* Effect.flip(
        (yield* storageAt(server.endpoint_url.replace("//", "//user:password@"))).list("")
      )
      assert.include(error.message, "key <access key> with <secret key>")
      assert.notInclude(error.message, "password")
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
      for (const call of [...calls(storage), storage.store("x", endless)]) {
        const before = requests
        const fiber = yield* Effect.forkChild(call)
        yield* Effect.timeoutOption(
          eventually(() => requests > before),
          "300 millis"
        )
        yield* Fiber.interrupt(fiber)
        yield* eventually(() => server.connections() === 0)
      }
      assert.strictEqual(requests, 4)
    })
  )

  it.effect("a part that fails in passing is sent again, the upload is not", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const server = yield* serve((request, response) => {
        const url = new URL(request.url ?? "", "http://x")
        const part = url.searchParams.get("partNumber")
        const keys = Array.from(url.searchParams.keys())
          .filter((key) => key !== "x-id")
          .join()
        const what = `${request.method} ${part === null ? keys : `part ${part}`}`
        const isFirst = !seen.includes(what)
        seen.push(what)
        request.resume().on("end", () => {
          if (part === "2" && isFirst) return response.writeHead(503).end(errorXml("SlowDown"))
          if (part !== null) return response.writeHead(200, { etag: `"${part}"` }).end()
          const body =
            request.method === "POST" && url.searchParams.has("uploads")
              ? "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
              : "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
          response.writeHead(200, { "content-type": "application/xml" }).end(body)
        })
      })
      const storage = yield* storageAt(server.endpoint_url)
      yield* storage.store("object", sourceOf(Array.from({ length: 34 }, () => new Uint8Array(1_000_000))))
      assert.deepStrictEqual(seen.toSorted(), [
        "POST uploadId",
        "POST uploads",
        "PUT part 1",
        "PUT part 2",
        "PUT part 2",
        "PUT part 3"
      ])
      assert.deepStrictEqual(seen.at(-1), "POST uploadId")
    })
  )

  it.effect("an upload carries its length, Content-MD5 and signed SHA-256, and no trailers", () =>
    Effect.gen(function* () {
      const seen: Array<http.IncomingHttpHeaders> = []
      const server = yield* serve((request, response) => {
        seen.push(request.headers)
        request.resume().on("end", () => response.writeHead(200, { etag: '"e"' }).end())
      })
      const storage = yield* storageAt(server.endpoint_url, { storage_class: "STANDARD_IA" })
      yield* storage.store("object", textOf("hello"))
      const without = yield* storageAt(server.endpoint_url, { disable_send_content_md5: true })
      yield* without.store("object", textOf("hello"))
      const sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
      const [first, second] = seen
      assert.deepInclude(first, {
        "content-length": "5",
        "content-md5": "XUFAKrxLKna5cZ2REBfFkg==",
        "x-amz-content-sha256": sha256,
        "x-amz-storage-class": "STANDARD_IA"
      })
      assert.include(first?.authorization, "x-amz-content-sha256")
      const trailers = [
        "transfer-encoding",
        "content-encoding",
        "x-amz-trailer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-checksum-crc32"
      ]
      for (const header of [...trailers, "expect"]) {
        assert.notProperty(first, header)
      }
      assert.notProperty(second, "content-md5")
      assert.notProperty(second, "x-amz-storage-class")
      assert.strictEqual(second?.["x-amz-content-sha256"], sha256)
    })
  )

  it.effect("chunks belong to the reader, also small ones that came together", () =>
    Effect.gen(function* () {
      const body = 'HTTP/1.1 200 OK\r\netag: "e"\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n'
      const server = yield* serveRaw((socket) => socket.once("data", () => socket.write(body)))
      const storage = yield* storageAt(server.endpoint_url)
      let text = ""
      yield* Stream.runForEach(storage.load("object"), (chunk) =>
        Effect.sync(() => {
          text += Buffer.from(structuredClone(chunk, { transfer: [chunk.buffer] })).toString()
        })
      )
      assert.strictEqual(text, "abcdef")
    })
  )

  it.effect("a source that fails or changes its length when it is read again ends the store with that", () =>
    Effect.gen(function* () {
      let bodies = 0
      const server = yield* serve((request, response) => {
        request
          .resume()
          .on("error", () => {})
          .on("end", () => {
            bodies++
            response.writeHead(200, { etag: '"e"' }).end()
          })
      })
      const storage = yield* storageAt(server.endpoint_url)
      const half = Stream.succeed(new Uint8Array(50_000))
      assert.strictEqual(
        yield* Effect.flip(
          storage.store(
            "object",
            again(() => Stream.concat(half, Stream.fail("broken" as const)))
          )
        ),
        "broken"
      )
      const short = yield* Effect.flip(
        storage.store(
          "object",
          again(() => half)
        )
      )
      assert.deepInclude(short === "broken" ? undefined : short.reason, {
        _tag: "WrongSize",
        expected: 100_000,
        actual: 50_000
      })
      yield* eventually(() => server.connections() === 0)
      assert.strictEqual(bodies, 0)
    })
  )

  it.effect("connections are reused, and idle ones end after idle_conn_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serve(answer(200, listing("p")))
      const storage = yield* storageAt(server.endpoint_url, { idle_conn_timeout: Duration.millis(300) })
      for (let i = 0; i < 5; i++) yield* storage.list("")
      assert.deepStrictEqual([server.accepted(), server.connections()], [1, 1])
      yield* eventually(() => server.connections() === 0)
      yield* storage.list("")
      assert.strictEqual(server.accepted(), 2)
    })
  )

  it.effect("max_idle_conns limits how many stay open", () =>
    Effect.gen(function* () {
      const server = yield* serve(answer(200, listing("p")))
      const storage = yield* storageAt(server.endpoint_url, { max_idle_conns: 2 })
      yield* Effect.forEach(Array.from({ length: 6 }), () => storage.list(""), { concurrency: 6 })
      assert.strictEqual(server.accepted(), 6)
      yield* eventually(() => server.connections() === 2)
    })
  )

  it.effect("a proxy of the environment is used, but not for localhost", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const proxy = yield* serve((request, response) => {
        asked.push(request.url ?? "")
        answer(200, listing("by-proxy"))(request, response)
      })
      const direct = yield* serve(answer(200, listing("direct")))
      const env = { http_proxy: `127.0.0.1:${proxy.port}`, NO_PROXY: "elsewhere.example" }
      const names = (endpoint_url: string) =>
        Effect.gen(function* () {
          return (yield* (yield* storageAt(endpoint_url)).list("")).map(({ name }) => name)
        }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
      assert.deepStrictEqual(yield* names("http://store.example:9000"), ["by-proxy"])
      assert.match(asked[0] ?? "", /^http:\/\/store\.example:9000\/bucket/)
      assert.deepStrictEqual(yield* names(direct.endpoint_url), ["direct"])
      assert.lengthOf(asked, 1)
    })
  )

  it.effect("a tunnel that a proxy refuses is unavailable, and says so without the proxy's password", () =>
    Effect.gen(function* () {
      const proxy = yield* serveTunnel(1, () => {})
      const storage = yield* storageBy(`http://user:password@127.0.0.1:${proxy.port}`)
      const error = yield* Effect.flip(storage.list(""))
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.notInclude(error.message, "password")
      const bad = yield* Effect.flip(storageBy("socks5://user:password@127.0.0.1:1"))
      assert.deepInclude(bad.reason, { _tag: "Refused", code: "BadProxy" })
      assert.notInclude(bad.message, "password")
    })
  )
})

networkContract({ name: "StorageS3", etag: '"e"', storageAt })
