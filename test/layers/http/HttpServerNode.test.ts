/** The HTTP server over real sockets: what it answers, and what clients that behave badly get. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Scope } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- clients that misbehave in ways that no client library has
import * as http from "node:http"
import * as net from "node:net"
import * as HttpServerNode from "../../../src/layers/http/HttpServerNode.ts"
import { CannotListen, HttpServer, type PageResponse, type Pages } from "../../../src/services/HttpServer.ts"

const large = "x".repeat(32 * 2 ** 20)

const text = (body: string): PageResponse => ({ contentType: "text/plain", body })

const pages: Pages = {
  "/": Effect.succeed(text("root")),
  "/page": Effect.succeed({ ...text("of a page"), status: 503, headers: { "x-own": "1" } }),
  "/defect": Effect.die(new Error("a bug")),
  "/large": Effect.sync(() => text(large))
}

interface Logged {
  readonly message: string
  readonly level: string
}

/** Serves until the scope closes: the port, and what was logged. */
const serving = Effect.fnUntraced(function* (limits?: Partial<HttpServerNode.Limits>, more: Pages = {}) {
  const log: Array<Logged> = []
  let port = 0
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    const [words, fields] = message as readonly [string, { readonly address?: string } | undefined]
    log.push({ message: words, level: logLevel })
    if (fields?.address !== undefined) port = Number(/\d+$/.exec(fields.address)![0])
  })
  yield* Effect.flatMap(HttpServer, ({ serve }) => serve({ ...pages, ...more })).pipe(
    Effect.provide(
      HttpServerNode.layerWith("127.0.0.1:0", { ...HttpServerNode.defaultLimits, ...limits }).pipe(
        Layer.provideMerge(Logger.layer([logger]))
      )
    )
  )
  return { port, log }
})

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

const request = (port: number, path: string, options: http.RequestOptions = {}) =>
  Effect.callback<Answer, Error>((resume) => {
    const request = http.request({ port, host: "127.0.0.1", path, agent: false, ...options }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () =>
        resume(
          Effect.succeed({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString("utf8")
          })
        )
      )
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end()
  })

/** A connection on which `sent` is written, and nothing is read until asked for. */
const connected = (port: number, sent: string) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect({ port, host: "127.0.0.1" })
      socket.pause()
      socket.on("error", () => {})
      socket.on("connect", () => {
        socket.write(sent)
        resume(Effect.succeed(socket))
      })
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Milliseconds until the other side has closed it. What comes before is read if `reads`. */
const closed = (socket: net.Socket, reads: boolean) =>
  Effect.callback<number>((resume) => {
    const began = performance.now()
    socket.on("close", () => resume(Effect.succeed(performance.now() - began)))
    if (reads) socket.resume()
  })

/** Of the refusal to serve there. */
const messageOf = (address: string) =>
  Effect.flatMap(HttpServer, ({ serve }) => serve(pages)).pipe(
    Effect.provide(HttpServerNode.layerWith(address)),
    Effect.scoped,
    Effect.flip,
    Effect.map((error) => {
      assert.instanceOf(error, CannotListen)
      return error.message
    })
  )

describe("HttpServerNode", () => {
  it.live("serves GET and HEAD of its pages, with or without a query, and nothing else", () =>
    Effect.gen(function* () {
      const { port } = yield* serving()
      const page = yield* request(port, "/page?a=b")
      assert.strictEqual(page.status, 503)
      assert.strictEqual(page.body, "of a page")
      assert.strictEqual(page.headers["x-own"], "1")
      assert.strictEqual(page.headers["cache-control"], "no-store")
      assert.strictEqual(page.headers["x-content-type-options"], "nosniff")
      assert.strictEqual((yield* request(port, "http://elsewhere/page")).body, "of a page")
      const head = yield* request(port, "/", { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.body, head.headers["content-length"]], [200, "", "4"])
      for (const path of ["/pages", "/page/", "//", "/%2e%2e/etc/passwd", "/constructor", "/toString"])
        assert.strictEqual((yield* request(port, path)).status, 404, path)
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
        const { headers, status } = yield* request(port, "/", { method })
        assert.deepStrictEqual([status, headers.allow], [405, "GET, HEAD"], method)
      }
    }).pipe(Effect.scoped)
  )

  it.live("a page that fails is a 500 that tells nothing, and an error in the log", () =>
    Effect.gen(function* () {
      const { log, port } = yield* serving()
      const { body, status } = yield* request(port, "/defect")
      assert.strictEqual(status, 500)
      assert.notInclude(body, "a bug")
      assert.deepStrictEqual(
        log.filter(({ level }) => level === "Error").map(({ message }) => message),
        ["Cannot render a page"]
      )
      assert.strictEqual((yield* request(port, "/")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("a path of 1 MB is refused", () =>
    Effect.gen(function* () {
      const { port } = yield* serving()
      const socket = yield* connected(port, `GET /${"a".repeat(2 ** 20)} HTTP/1.1\r\nhost: a\r\n\r\n`)
      let received = ""
      socket.on("data", (chunk) => void (received += chunk.toString("latin1")))
      yield* closed(socket, true)
      assert.match(received, /^(HTTP\/1\.1 431 |$)/)
      assert.strictEqual((yield* request(port, `/${"a".repeat(17_000)}`)).status, 431)
      assert.strictEqual((yield* request(port, "/")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("who sends, or reads, too slowly loses the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serving({ requestMillis: 300, responseMillis: 600, keepAliveMillis: 200 })
      const cases = {
        "a request without end": ["GET / HTTP/1.1\r\nhost: a\r\n", true],
        "a body without end": ["GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc", true],
        "nothing at all": ["", true],
        "no request after the first": ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", true],
        "a response that is not read": ["GET /large HTTP/1.1\r\nhost: a\r\n\r\n", false]
      } as const
      yield* Effect.forEach(
        Object.entries(cases),
        ([what, [sent, reads]]) =>
          Effect.gen(function* () {
            const socket = yield* connected(port, sent)
            // Only who reads sees the end: the kernel of the other has it.
            const millis = reads
              ? yield* closed(socket, true)
              : yield* Effect.andThen(Effect.sleep("2 seconds"), closed(socket, true))
            assert.isBelow(millis, 10_000, what)
            if (!reads) assert.isBelow(socket.bytesRead, large.length, what)
          }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual((yield* request(port, "/")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("of a thousand connections all but a hundred are closed, and it answers when some are gone", () =>
    Effect.gen(function* () {
      const { port } = yield* serving()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sockets = yield* Effect.forEach(Array.from({ length: 1_000 }), () => connected(port, ""), {
            concurrency: 50
          })
          for (const socket of sockets) socket.resume()
          const open = () => sockets.filter(({ closed }) => !closed).length
          while (open() > 100) yield* Effect.sleep("20 millis")
          yield* Effect.sleep("200 millis")
          assert.strictEqual(open(), 100)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(request(port, "/"))), "one more")
        })
      )
      let status = 0
      while (status !== 200)
        status = yield* request(port, "/").pipe(
          Effect.map((answer) => answer.status),
          Effect.orElseSucceed(() => 0)
        )
    }).pipe(Effect.scoped)
  )

  it.live("ends with its scope at once, whatever is open, and interrupts the page that is made", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const entered = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const slow = Effect.andThen(Deferred.succeed(entered, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(left, undefined))
      )
      const { port } = yield* Scope.provide(serving({}, { "/slow": slow }), scope)
      yield* connected(port, "")
      yield* connected(port, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* connected(port, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* Deferred.await(entered)
      const began = performance.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - began, 4_000)
      yield* Deferred.await(left)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(request(port, "/"))))
    }).pipe(Effect.scoped)
  )

  it.live("an address that cannot be had is an error that names it and says why", () =>
    Effect.gen(function* () {
      const { port } = yield* serving()
      assert.strictEqual(
        yield* messageOf(`127.0.0.1:${port}`),
        `http.address: cannot listen on 127.0.0.1:${port} (EADDRINUSE): another process listens there`
      )
      assert.match(
        yield* messageOf("192.0.2.1:80"),
        /cannot listen on 192\.0\.2\.1:80 \(EADDRNOTAVAIL\): this machine has no such address/
      )
      assert.match(
        yield* messageOf("no-such-host.invalid:80"),
        /cannot listen on no-such-host\.invalid:80 \((ENOTFOUND|EAI_AGAIN)\)/
      )
    }).pipe(Effect.scoped)
  )
})
