/** Clients and LMDBs at their worst, under a running daemon: a clear response or a closed connection, and it syncs on. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber, FileSystem } from "effect"
import * as net from "node:net"
import * as Daemon from "../../support/Daemon.ts"
import { eventually } from "../../support/Eventually.ts"
import { get, healthOf, type PageRead, parseMetrics } from "../../support/HttpPages.ts"
import { is, startSide } from "../../support/MeteredSide.ts"

const main = { lmdb: "main" }

const makeBucket = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "robustness-bucket-" })
)

/** A connection on which this was sent, and whose responses are not read. */
const connect = (address: string, sent: string) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const [host, port] = address.split(":")
      const socket = net.connect(Number(port), host!, () => resume(Effect.succeed(socket)))
      socket.on("error", () => resume(Effect.succeed(socket))).pause()
      socket.write(sent)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const paths = ["/metrics", "/", "/healthz", "/storage"]

/** Reads all pages again and again until the server is gone; gives the pages. Returns when each was read three times. */
const readOn = Effect.fnUntraced(function* (address: string) {
  const pages: Array<PageRead & { readonly path: string }> = []
  const read = (path: string) =>
    Effect.forever(Effect.map(get(address, path), (page) => void pages.push({ ...page, path })))
  const readers = [...paths, ...paths, ...paths].map((path) => Effect.ignore(read(path)))
  const reading = yield* Effect.forkScoped(Effect.as(Effect.all(readers, { concurrency: "unbounded" }), pages))
  const isEnough = () => paths.every((path) => pages.filter((page) => page.path === path).length > 2)
  yield* eventually(
    "each page was read three times",
    Effect.sync(() => (isEnough() ? true : undefined))
  )
  return reading
})

/** Each is whole, and none is an error; a listing may fail when the bucket is being left. */
const check = (pages: ReadonlyArray<PageRead & { readonly path: string }>) => {
  for (const { body, path, status } of pages) {
    assert.strictEqual(status, 200, `${path}: ${body}`)
    if (path === "/metrics") assert.isAbove(parseMetrics(body).samples.length, 30)
    if (path === "/") assert.include(body, "</html>")
  }
}

describe("the pages of a daemon", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("while its database is closing: whole, until the connection is closed, and the last change is sent", () =>
      Effect.gen(function* () {
        const a = yield* startSide("a", Daemon.folderBucket(yield* makeBucket))
        yield* a.until("lightningstream_ready", main, is(1))
        const reading = yield* readOn(a.address)
        const from = a.daemon.log.length
        yield* a.application.put("a", "the last", 2n)
        yield* a.daemon.signal("SIGTERM")
        assert.strictEqual(yield* a.daemon.ended, 0, a.daemon.text())
        check(yield* Fiber.join(reading))
        yield* a.daemon.logged("Stored snapshot", undefined, from)
        assert.deepStrictEqual(
          a.daemon.log.filter(({ level }) => level === "error"),
          []
        )
      })
    )

    it.effect("while its LMDB vanishes: whole, until the daemon ends with what has happened to the file", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const a = yield* startSide("a", Daemon.folderBucket(yield* makeBucket))
        yield* a.until("lightningstream_ready", main, is(1))
        const reading = yield* readOn(a.address)
        yield* fs.remove(a.path)
        assert.strictEqual(yield* a.daemon.ended, 1)
        check(yield* Fiber.join(reading))
        const errors = a.daemon.log.filter(({ level }) => level === "error")
        assert.match(
          errors.map(({ error, msg }) => `${msg} ${error}`).join("\n"),
          /main\.lmdb.*(removed|replaced|gone)/
        )
        assert.notInclude(a.daemon.text(), "Cannot render a page")
      })
    )

    it.effect(
      "are there again after a thousand connections, a path of 1 MB and clients that never read; and it syncs on",
      () =>
        Effect.gen(function* () {
          const a = yield* startSide("a", Daemon.folderBucket(yield* makeBucket))
          yield* a.until("lightningstream_ready", main, is(1))
          const from = a.daemon.log.length
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* connect(a.address, `GET /${"a".repeat(2 ** 20)} HTTP/1.1\r\nhost: a\r\n\r\n`)
              const requests = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(50)
              yield* Effect.forEach(Array.from({ length: 30 }), () => connect(a.address, requests))
              yield* Effect.forEach(Array.from({ length: 1_000 }), () => connect(a.address, ""), { concurrency: 50 })
              yield* a.application.put("a", "meanwhile", 2n)
              yield* a.daemon.logged("Stored snapshot", undefined, from)
            })
          )
          const health = yield* eventually(
            "/healthz responds",
            Effect.orElseSucceed(healthOf(a.address), () => undefined)
          )
          assert.deepStrictEqual([health.code, health.status], [200, "OK"])
          assert.deepStrictEqual(
            a.daemon.log.filter(({ level }) => level === "error"),
            []
          )
        })
    )
  })
})
