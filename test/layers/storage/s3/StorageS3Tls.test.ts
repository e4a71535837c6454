/**
 * `StorageS3` over TLS: which servers are trusted, client certificates, files that change while it runs, proxies that
 * tunnel.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, FileSystem, Layer, Redacted, Stream } from "effect"
import { ChildProcess } from "effect/process"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's servers
import type * as http from "node:http"
import * as tls from "node:tls"
import type { S3Options, Tls } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import { Storage } from "../../../../src/services/Storage.ts"
import { authority, type Pair } from "../../../support/servers/Certificates.ts"
import { eventually } from "../../../support/Eventually.ts"
import { pathOf } from "../../../support/servers/RealServers.ts"
import { listing, serveRaw, serveTls, serveTunnel } from "../../../support/servers/HandMadeServer.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"

const defaults = s3Options({})

const storageAt = Effect.fnUntraced(function* (
  endpoint_url: string,
  section: Partial<Tls>,
  overrides: Partial<S3Options> = {}
) {
  const options = s3Options({
    endpoint_url,
    access_key: Redacted.make("a"),
    secret_key: Redacted.make("s"),
    client_timeout: Duration.seconds(5),
    ...overrides,
    tls: { ...defaults.tls, ...section }
  })
  return Context.get(yield* Layer.build(StorageS3.layerWith(options)), Storage)
})

const namesAt = Effect.fnUntraced(function* (...args: Parameters<typeof storageAt>) {
  return (yield* (yield* storageAt(...args)).list("")).map(({ name }) => name)
})

/** Lists one object, named after the client's certificate. */
const nameOfClient: http.RequestListener = (request, response) => {
  const name = (request.socket as tls.TLSSocket).getPeerCertificate().subject?.CN ?? "anonymous"
  response.writeHead(200, { connection: "close" }).end(listing(Array.isArray(name) ? name.join() : name))
}

const certificate = ({ cert, key }: Pair) => ({ cert, key })

it.layer(NodeServices.layer, { excludeTestServices: true, timeout: "30 seconds" })("StorageS3 over TLS", (it) => {
  it.effect("only servers that the configured CA vouches for are trusted", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const other = yield* authority
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const namesWith = (section: Partial<Tls>) => namesAt(server.endpoint_url, section)
      assert.deepStrictEqual(yield* namesWith({ ca_file: ca.certFile }), ["anonymous"])
      assert.deepStrictEqual(yield* namesWith({ ca: ca.cert }), ["anonymous"])
      assert.deepStrictEqual(yield* namesWith({ ca: other.cert + ca.cert }), ["anonymous"])
      assert.deepStrictEqual(yield* namesWith({ ca: ca.cert, add_system_ca_pool: true }), ["anonymous"])
      assert.deepStrictEqual(yield* namesWith({ ca_file: ca.certFile, ca: other.cert }), ["anonymous"])
      assert.deepStrictEqual(yield* namesWith({ insecure_skip_verify: true }), ["anonymous"])
      for (const section of [{}, { ca: other.cert }, { ca: other.cert, add_system_ca_pool: true }]) {
        const error = yield* Effect.flip(namesWith(section))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.include(error.message, "tls.ca_file")
      }
    })
  )

  it.effect("a certificate for another host is refused, a server without TLS too", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const misnamed = yield* Effect.flip(
        namesAt(server.endpoint_url.replace("127.0.0.1", "127.0.0.2"), { ca: ca.cert })
      )
      const plain = yield* serveRaw((socket) => socket.end("HTTP/1.1 400 no TLS here\r\n\r\n"))
      const untrue = yield* Effect.flip(namesAt(plain.endpoint_url.replace("http:", "https:"), { ca: ca.cert }))
      // Linux has all of 127.0.0.0/8, but the server listens on one address only.
      assert.match(misnamed.message, /ECONNREFUSED|tls\.ca_file/)
      assert.strictEqual(untrue.reason._tag, "Refused")
      assert.match(untrue.message, /right scheme and port/)
    })
  )

  it.effect("changed files are used by the next connection; while they are no good, the earlier ones are", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const ca = yield* authority
      const options = {
        ...certificate(yield* ca.issue("server")),
        requestCert: true,
        ca: ca.cert,
        rejectUnauthorized: true
      }
      const server = yield* serveTls(options, nameOfClient)
      const [first, second] = [yield* ca.issue("first"), yield* ca.issue("second")]
      const directory = yield* fs.makeTempDirectoryScoped()
      const [cert_file, key_file] = [`${directory}/cert`, `${directory}/key`]
      const put = (cert: string, key: string) =>
        Effect.andThen(fs.writeFileString(cert_file, cert), fs.writeFileString(key_file, key))
      yield* put(first.cert, first.key)
      const section = { ca: ca.cert, cert_file, key_file, watch_certs_poll_interval: Duration.millis(20) }
      const storage = yield* storageAt(server.endpoint_url, section)
      const client = Effect.map(Effect.delay(storage.list(""), 30), ([object]) => object?.name)
      assert.strictEqual(yield* client, "first")
      yield* put(second.cert, first.key)
      assert.strictEqual(yield* client, "first")
      yield* fs.remove(key_file)
      assert.strictEqual(yield* client, "first")
      yield* put(second.cert, second.key)
      assert.strictEqual(yield* client, "second")
      const anonymous = yield* Effect.flip(namesAt(server.endpoint_url, { ca: ca.cert }))
      assert.isTrue(anonymous.retryable)
      assert.deepStrictEqual(
        yield* namesAt(server.endpoint_url, { ca: ca.cert, cert: first.cert, key: Redacted.make(first.key) }),
        ["first"]
      )
    })
  )

  it.effect("a changed CA file changes who is trusted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [ca, other] = [yield* authority, yield* authority]
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const ca_file = `${yield* fs.makeTempDirectoryScoped()}/ca`
      yield* fs.writeFileString(ca_file, other.cert)
      const storage = yield* storageAt(server.endpoint_url, { ca_file, watch_certs_poll_interval: Duration.millis(20) })
      assert.strictEqual((yield* Effect.flip(storage.list(""))).reason._tag, "Refused")
      yield* fs.writeFileString(ca_file, ca.cert)
      yield* Effect.sleep(30)
      assert.lengthOf(yield* storage.list(""), 1)
    })
  )

  it.effect("what can't be used is refused at once, without the key", () =>
    Effect.gen(function* () {
      const [ca, other] = [yield* authority, yield* authority]
      const sections: ReadonlyArray<Partial<Tls>> = [
        { ca_file: "/nowhere/ca.pem" },
        { ca: "not PEM" },
        { cert: ca.cert, key: Redacted.make(other.key) },
        { cert: ca.cert, key: Redacted.make("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----") }
      ]
      for (const section of sections) {
        const error = yield* Effect.flip(storageAt("https://127.0.0.1:1", section))
        assert.deepInclude(error.reason, { _tag: "Refused", code: "BadTls" })
        assert.match(error.message, /^open s3 bucket "bucket" at https:.*storage\.options\.tls/)
        assert.notMatch(error.message, /PRIVATE|secret/)
      }
    })
  )

  it.effect("a handshake that hangs ends after tls_handshake_timeout", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      const endpoint_url = server.endpoint_url.replace("http:", "https:")
      const error = yield* Effect.flip(
        namesAt(endpoint_url, { insecure_skip_verify: true }, { tls_handshake_timeout: Duration.millis(100) })
      )
      assert.deepInclude(error.reason, { _tag: "Unavailable", code: "TLS_HANDSHAKE_TIMEOUT" })
    })
  )

  it.effect("the secrets of sessions go to insecure_key_log_file, and only the owner may read it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const ca = yield* authority
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const file = `${yield* fs.makeTempDirectoryScoped()}/keys`
      const storage = yield* storageAt(server.endpoint_url, { ca: ca.cert, insecure_key_log_file: file })
      yield* storage.list("")
      // Nobody waits for what is written there.
      yield* eventually(
        "a secret is in the file",
        Effect.map(fs.readFileString(file), (text) =>
          /^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]+ [0-9a-f]+\n/m.test(text) ? true : undefined
        )
      )
      assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600)
    })
  )

  it.effect("a proxy tunnels, and the store's certificate is checked through it", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const asked: Array<readonly [string | undefined, string | undefined]> = []
      const proxy = yield* serveTunnel(
        server.port,
        ({ headers, url }) => void asked.push([url, headers["proxy-authorization"]])
      )
      const env = { HTTPS_PROXY: `http://user:password@127.0.0.1:${proxy.port}` }
      const names = (section: Partial<Tls>) =>
        namesAt("https://store.example:9443", section).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
        )
      assert.deepStrictEqual(yield* names({ ca: ca.cert }), ["anonymous"])
      assert.deepStrictEqual(asked, [["store.example:9443", `Basic ${btoa("user:password")}`]])
      assert.strictEqual((yield* Effect.flip(names({}))).reason._tag, "Refused")
    })
  )

  it.effect("without a CA the system's are trusted: SSL_CERT_FILE and SSL_CERT_DIR count", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const ca = yield* authority
      const server = yield* serveTls(certificate(yield* ca.issue("server")), nameOfClient)
      const directory = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${directory}/ca.pem`, ca.cert)
      const output = (env: Record<string, string>) =>
        Effect.gen(function* () {
          const args = [pathOf("../processes/s3-names.process.ts"), server.endpoint_url]
          const handle = yield* ChildProcess.make(process.execPath, args, { env, extendEnv: true })
          return (yield* Stream.mkString(Stream.decodeText(handle.stdout))).trim()
        })
      assert.strictEqual(yield* output({ SSL_CERT_FILE: ca.certFile }), "anonymous")
      assert.strictEqual(yield* output({ SSL_CERT_DIR: directory }), "anonymous")
      assert.include(yield* output({}), "tls.ca_file")
    })
  )
})
