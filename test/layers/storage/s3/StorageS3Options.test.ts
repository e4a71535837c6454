/**
 * What the options of S3 do to requests, connections and uploads, as a server sees it; where credentials come from when
 * there are no keys.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, FileSystem, Layer, Redacted, Stream } from "effect"
import { ChildProcess } from "effect/process"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's servers
import type * as http from "node:http"
import type { S3Options } from "../../../../src/domain/settings/StorageOptions.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import { Storage } from "../../../../src/services/Storage.ts"
import { pathOf } from "../../../support/servers/RealServers.ts"
import { generated, MiB } from "../../../support/fixtures/GeneratedSource.ts"
import { errorXml, listing, serve, serveRaw } from "../../../support/servers/HandMadeServer.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"

const keys = { access_key: Redacted.make("AKIATEST"), secret_key: Redacted.make("SECRETKEYTEST") }

const storageAt = Effect.fnUntraced(function* (endpoint_url: string, overrides: Partial<S3Options> = {}) {
  return Context.get(
    yield* Layer.build(StorageS3.layerWith(s3Options({ endpoint_url, ...keys, ...overrides }))),
    Storage
  )
})

/** Answers with a listing, and remembers what was asked. */
const serveListing = Effect.gen(function* () {
  const seen: Array<http.IncomingMessage & { body: string }> = []
  const server = yield* serve((request, response) => {
    const kept = Object.assign(request, { body: "" })
    request
      .on("data", (chunk: Buffer) => void (kept.body += chunk.toString()))
      .on("end", () => {
        seen.push(kept)
        response.end(listing("found"))
      })
  })
  return { ...server, seen }
})

const withProxy = (proxy: string) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { http_proxy: proxy, https_proxy: proxy } })))

/**
 * Takes uploads in parts: answers none before `partsAtOnce` of them were under way together. `completed` is the last
 * answer, of status 200.
 */
const serveUploads = Effect.fnUntraced(function* ({
  completed = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
  partsAtOnce = 1
}: {
  readonly completed?: string
  readonly partsAtOnce?: number
} = {}) {
  const seen: Array<{ readonly what: string; readonly headers: http.IncomingHttpHeaders }> = []
  let underWay = 0
  let most = 0
  const server = yield* serve((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x")
    const part = searchParams.get("partNumber")
    const what = part === null ? `${request.method} ${searchParams.has("uploads") ? "uploads" : "uploadId"}` : "part"
    seen.push({ what, headers: request.headers })
    if (part !== null) most = Math.max(most, ++underWay)
    request.resume().on("end", () => {
      const body =
        what === "POST uploads"
          ? "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
          : what === "POST uploadId"
            ? completed
            : ""
      const answer = () => {
        // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
        if (part !== null && most < partsAtOnce) return void setTimeout(answer, 10)
        if (part !== null) underWay--
        response.writeHead(200, { etag: '"e"', "content-type": "application/xml" }).end(body)
      }
      // @effect-diagnostics-next-line globalTimers:off -- as above; long enough to see that no more come
      setTimeout(answer, part === null ? 0 : 100)
    })
  })
  return { ...server, seen, most: () => most }
})

/** Credentials as instances and containers get them. */
const issued = (AccessKeyId: string) =>
  JSON.stringify({ Code: "Success", AccessKeyId, SecretAccessKey: "s", Token: "t", Expiration: "2100-01-01T00:00:00Z" })

/** Of the established connection to that port, as the kernel has it: seconds until its next keep-alive probe. */
const untilProbe = Effect.fnUntraced(function* (port: number) {
  const fs = yield* FileSystem.FileSystem
  const rows = (yield* fs.readFileString("/proc/net/tcp")).split("\n").map((row) => row.trim().split(/\s+/))
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const timer = rows.find(([, , remote, state]) => remote?.endsWith(`:${hex}`) === true && state === "01")?.[5] ?? ""
  // 02: the timer is that of keep-alive; in hundredths of a second.
  return timer.startsWith("02:") ? parseInt(timer.slice(3), 16) / 100 : undefined
})

it.layer(NodeServices.layer, { excludeTestServices: true, timeout: "30 seconds" })("StorageS3, its options", (it) => {
  it.effect("region is signed, and is where a bucket is made, but for the first one, which has no name there", () =>
    Effect.gen(function* () {
      for (const region of ["eu-west-1", "us-east-1"]) {
        const { endpoint_url, seen } = yield* serveListing
        yield* (yield* storageAt(endpoint_url, { region, create_bucket: true })).list("")
        assert.deepStrictEqual(
          seen.map(({ method }) => method),
          ["PUT", "GET"]
        )
        for (const { headers } of seen) assert.include(headers.authorization, `/${region}/s3/aws4_request`)
        assert.strictEqual(
          seen[0]!.body.includes("<LocationConstraint>eu-west-1</LocationConstraint>"),
          region === "eu-west-1"
        )
        assert.strictEqual(seen[0]!.body === "", region === "us-east-1")
      }
    })
  )

  it.effect("endpoint_url of Amazon gets the bucket in the host name, any other in the path", () =>
    Effect.gen(function* () {
      const proxy = yield* serveListing
      const urlFor = Effect.fnUntraced(function* (endpoint_url: string) {
        yield* Effect.flatMap(storageAt(endpoint_url, { region: "eu-west-1" }), ({ list }) => list("")).pipe(
          withProxy(proxy.endpoint_url)
        )
        return proxy.seen.at(-1)?.url?.split("?")[0]
      })
      assert.strictEqual(
        yield* urlFor("http://s3.eu-west-1.amazonaws.com"),
        "http://bucket.s3.eu-west-1.amazonaws.com/"
      )
      assert.strictEqual(yield* urlFor("http://minio.example:9000"), "http://minio.example:9000/bucket/")
    })
  )

  it.effect("num_minio_threads is how many parts of an upload are under way at once", () =>
    Effect.gen(function* () {
      for (const num_minio_threads of [1, 3]) {
        const server = yield* serveUploads({ partsAtOnce: num_minio_threads })
        yield* (yield* storageAt(server.endpoint_url, { num_minio_threads })).store("object", generated(70 * MiB))
        assert.strictEqual(server.most(), num_minio_threads)
      }
    })
  )

  it.effect("an upload in parts has the storage class from its beginning, and each part its Content-MD5", () =>
    Effect.gen(function* () {
      const server = yield* serveUploads()
      yield* (yield* storageAt(server.endpoint_url, { storage_class: "STANDARD_IA" })).store(
        "object",
        generated(20 * MiB)
      )
      assert.deepStrictEqual(
        server.seen.map(({ what }) => what),
        ["POST uploads", "part", "part", "POST uploadId"]
      )
      assert.strictEqual(server.seen[0]!.headers["x-amz-storage-class"], "STANDARD_IA")
      for (const { headers } of server.seen.slice(1, 3)) assert.match(String(headers["content-md5"]), /^[\w+/]{22}==$/)
    })
  )

  it.effect(
    "an upload that fails at its end, under the status 200 that was sent before, has failed, and its parts are removed",
    () =>
      Effect.gen(function* () {
        const server = yield* serveUploads({ completed: errorXml("InternalError") })
        const error = yield* Effect.flip((yield* storageAt(server.endpoint_url)).store("object", generated(20 * MiB)))
        assert.deepInclude(error === "broken" ? undefined : error.reason, {
          _tag: "Unavailable",
          code: "InternalError"
        })
        assert.strictEqual(server.seen.at(-1)!.what, "DELETE uploadId")
      })
  )

  it.effect(
    "dial_timeout bounds how long a connection may take to be made, here through a proxy that does not answer",
    () =>
      Effect.gen(function* () {
        const deaf = yield* serveRaw()
        const storage = yield* storageAt("https://store.example", { dial_timeout: Duration.millis(200) }).pipe(
          withProxy(deaf.endpoint_url)
        )
        const error = yield* Effect.flip(storage.list(""))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.include(error.message, "200 ms")
        // One that is there in time stays, however long the answer takes.
        // @effect-diagnostics-next-line globalTimers:off -- the server's, outside of any fiber
        const slow = yield* serve((_, response) => void setTimeout(() => response.end(listing("slow")), 400))
        assert.lengthOf(
          yield* (yield* storageAt(slow.endpoint_url, { dial_timeout: Duration.millis(200) })).list(""),
          1
        )
      })
  )

  it.effect("dial_keep_alive is when an idle connection is probed", () =>
    Effect.gen(function* () {
      const server = yield* serveListing
      yield* (yield* storageAt(server.endpoint_url, { dial_keep_alive: Duration.seconds(500) })).list("")
      const seconds = yield* untilProbe(server.port)
      assert.isTrue(seconds !== undefined && seconds > 300 && seconds <= 501, `in ${seconds} s`)
    })
  )

  it.effect(
    "without keys the SDK looks for credentials everywhere; when there are none, the message says how to give some",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(
          `${directory}/credentials`,
          "[profile-of-test]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
        )
        yield* fs.writeFileString(`${directory}/token`, "a web identity")
        const store = yield* serveListing
        // What hands out credentials to machines, containers and workloads.
        const issuer = yield* serve((request, response) => {
          request.resume().on("end", () => {
            if (request.method === "PUT")
              return response.writeHead(200, { "x-aws-ec2-metadata-token-ttl-seconds": "60" }).end("session")
            if (request.method === "POST") {
              return response.end(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIAWEB</AccessKeyId>" +
                  "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>" +
                  "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
              )
            }
            if (request.url === "/container") return response.end(issued("AKIACONTAINER"))
            response.end(request.url!.endsWith("/security-credentials/") ? "role" : issued("AKIAINSTANCE"))
          })
        })
        const output = (env: Record<string, string>) =>
          Effect.gen(function* () {
            const args = [pathOf("../processes/s3-names.process.ts"), store.endpoint_url, "chain"]
            const handle = yield* ChildProcess.make(process.execPath, args, { env: { HOME: "/nonexistent", ...env } })
            return (yield* Stream.mkString(Stream.decodeText(handle.stdout))).trim()
          })
        const web = {
          AWS_WEB_IDENTITY_TOKEN_FILE: `${directory}/token`,
          AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/r",
          AWS_ENDPOINT_URL_STS: issuer.endpoint_url
        }
        const chain = {
          AKIACHAIN: { AWS_ACCESS_KEY_ID: "AKIACHAIN", AWS_SECRET_ACCESS_KEY: "s" },
          AKIAPROFILE: { AWS_SHARED_CREDENTIALS_FILE: `${directory}/credentials`, AWS_PROFILE: "profile-of-test" },
          AKIAWEB: web,
          AKIACONTAINER: { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${issuer.endpoint_url}/container` },
          AKIAINSTANCE: { AWS_EC2_METADATA_SERVICE_ENDPOINT: issuer.endpoint_url }
        }
        for (const [id, env] of Object.entries(chain)) {
          assert.strictEqual(yield* output(env), "found", id)
          assert.include(store.seen.at(-1)?.headers.authorization, `Credential=${id}/`)
        }
        const requests = store.seen.length
        assert.match(
          yield* output({ AWS_EC2_METADATA_DISABLED: "true" }),
          /CredentialsProviderError.*set access_key and secret_key/
        )
        assert.lengthOf(store.seen, requests)
      })
  )
})
