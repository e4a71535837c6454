/**
 * The contract of every `Storage` over a network about failures of the network or the server: each call ends, reports
 * the reason, and releases its socket. The servers are hand-made. The tests of each layer cover the responses of its
 * store.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, type FileSystem, Schedule, type Scope, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's servers
import type * as http from "node:http"
import type { Storage, StorageError } from "../../src/services/Storage.ts"
import { serve, serveRaw } from "../support/servers/HandMadeServer.ts"
import { freePort } from "../support/servers/Swift.ts"
import { sourceOf } from "./storage-contract.ts"

/** Waits for a condition in real time, because the other side of a socket is tested. */
export const eventually = (condition: () => boolean) =>
  Effect.sync(condition).pipe(
    Effect.repeat({ until: (met) => met, schedule: Schedule.spaced("5 millis") }),
    Effect.timeoutOrElse({
      duration: "3 seconds",
      orElse: () => Effect.sync(() => assert.fail("did not come to pass"))
    })
  )

/** Returns one call of each operation. */
export const calls = (storage: typeof Storage.Service): ReadonlyArray<Effect.Effect<void, StorageError>> => [
  Effect.asVoid(storage.list("p")),
  Stream.runDrain(storage.load("object")),
  Effect.asVoid(storage.store("object", sourceOf([new Uint8Array(2_000_000)]))),
  storage.delete("object")
]

/** Returns the reason with which each call fails. */
export const reasonsOf = (storage: typeof Storage.Service) =>
  Effect.forEach(calls(storage), (call) => Effect.map(Effect.flip(call), ({ reason }) => reason))

/** Sends the same response to each request when it is complete. */
export const answer =
  (status: number, body: string, headers: http.OutgoingHttpHeaders = {}): http.RequestListener =>
  (request, response) => {
    request.resume()
    request.on("end", () => response.writeHead(status, headers).end(body))
  }

export interface NetworkSubject {
  /** Name of the layer. */
  readonly name: string
  /** ETag of an object, as the server sends it. */
  readonly etag: string
  readonly storageAt: (
    url: string,
    overrides?: { readonly client_timeout: Duration.Duration }
  ) => Effect.Effect<typeof Storage.Service, StorageError, FileSystem.FileSystem | Scope.Scope>
}

export const networkContract = ({ etag, name, storageAt }: NetworkSubject) =>
  it.layer(NodeServices.layer, { excludeTestServices: true })(`${name}, calls over a bad network`, (it) => {
    it.effect("a body that stalls in the middle ends after client_timeout", () =>
      Effect.gen(function* () {
        const headers = { "content-length": "1000", etag }
        const server = yield* serve((_, response) => void response.writeHead(200, headers).write("x".repeat(500)))
        const storage = yield* storageAt(server.endpoint_url, { client_timeout: Duration.seconds(1) })
        let bytes = 0
        const error = yield* Effect.flip(
          Stream.runForEach(storage.load("object"), (chunk) => Effect.sync(() => (bytes += chunk.length)))
        )
        assert.deepInclude(error.reason, { _tag: "Unavailable", code: "Timeout" })
        assert.strictEqual(bytes, 500)
        yield* eventually(() => server.connections() === 0)
      })
    )

    it.effect("a refused, a reset and an unknown host are unavailable, with node's code", () =>
      Effect.gen(function* () {
        const port = yield* freePort
        for (const reason of yield* reasonsOf(yield* storageAt(`http://127.0.0.1:${port}`)))
          assert.deepInclude(reason, { _tag: "Unavailable", code: "ECONNREFUSED" })
        const reset = yield* serveRaw((socket) => socket.once("data", () => socket.resetAndDestroy()))
        for (const reason of yield* reasonsOf(yield* storageAt(reset.endpoint_url))) {
          if (reason._tag !== "Unavailable") return assert.fail(reason.message)
          assert.match(reason.code, /^(ECONNRESET|EPIPE)$/)
        }
        const unknown = yield* Effect.flip((yield* storageAt("http://unknown.invalid:1")).list(""))
        assert.strictEqual(unknown.reason._tag, "Unavailable")
        assert.match(unknown.message, /unknown\.invalid/)
      })
    )

    it.effect("a reader that stops early releases the socket", () =>
      Effect.gen(function* () {
        const server = yield* serve((_, response) => {
          response.writeHead(200, { "content-length": String(1e9), etag })
          const more = () => {
            while (response.write(Buffer.alloc(65_536)));
            response.once("drain", more)
          }
          more()
        })
        const storage = yield* storageAt(server.endpoint_url)
        yield* Stream.runDrain(Stream.take(storage.load("object"), 1))
        yield* eventually(() => server.connections() === 0)
      })
    )
  })
