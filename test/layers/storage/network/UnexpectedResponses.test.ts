/**
 * Responses with a status of success that are not what was asked for: a web page, another document, a listing of
 * something else, an object that the listing does not show. Each is an error to be retried: never an empty bucket, an
 * object, or a store that was done.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Result, Stream } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- types of node's servers
import type * as http from "node:http"
import * as StorageAzure from "../../../../src/layers/storage/azure/StorageAzure.ts"
import * as StorageS3 from "../../../../src/layers/storage/s3/StorageS3.ts"
import { Storage, type StoredObject } from "../../../../src/services/Storage.ts"
import { textOf } from "../../../contracts/storage-contract.ts"
import { azureOptions } from "../../../support/fixtures/AzureOptionsTest.ts"
import { s3Options } from "../../../support/fixtures/S3OptionsTest.ts"
import { serve } from "../../../support/servers/HandMadeServer.ts"

const s3 = Effect.fnUntraced(function* (endpoint_url: string) {
  const keys = { access_key: Redacted.make("AKIATEST"), secret_key: Redacted.make("SECRETKEYTEST") }
  const options = s3Options({ endpoint_url, ...keys, global_prefix: "pre-" })
  return Context.get(yield* Layer.build(StorageS3.layerWith(options)), Storage)
})

const azure = Effect.fnUntraced(function* (url: string) {
  const account = { account_name: "account", account_key: Redacted.make("aw=="), use_shared_key: true }
  const options = azureOptions({ endpoint_url: `${url}/account`, ...account, global_prefix: "pre-" })
  return Context.get(yield* Layer.build(StorageAzure.layerWith(options)), Storage)
})

/** Responses to a listing of `pre-main`, and what is wrong with each. */
interface Dialect {
  readonly make: typeof s3
  /** With one object of three bytes, `pre-main-a`. */
  readonly good: string
  readonly bad: Readonly<Record<string, string>>
}

const s3Listing = (inner: string) => `<?xml version="1.0"?>\n<ListBucketResult xmlns="x">${inner}</ListBucketResult>\n`
const s3Object = (key: string) => `<Contents><Key>${key}</Key><Size>3</Size><ETag>&quot;e&quot;</ETag></Contents>`
const s3Head = "<Name>bucket</Name><Prefix>pre-main</Prefix><IsTruncated>false</IsTruncated>"

const azureListing = (inner: string, attributes = 'ContainerName="container"') =>
  `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ${attributes}>${inner}<NextMarker/></EnumerationResults>`
const azureBlob = (name: string) =>
  `<Blob><Name>${name}</Name><Properties><Content-Length>3</Content-Length><Etag>e</Etag></Properties></Blob>`

const dialects: Readonly<Record<string, Dialect>> = {
  S3: {
    make: s3,
    good: s3Listing(s3Head + s3Object("pre-main-a")),
    bad: {
      "no content": s3Listing(""),
      "no bucket": s3Listing("<IsTruncated>false</IsTruncated>"),
      "another bucket": s3Listing(s3Head.replace("bucket", "other")),
      "another prefix": s3Listing(s3Head.replace("pre-main", "pre-other")),
      "an object outside of the prefix": s3Listing(s3Head + s3Object("other-a")),
      "an object without a size": s3Listing(s3Head + s3Object("pre-main-a").replace(/<Size>.*<\/Size>/, "")),
      "an object without a name": s3Listing(s3Head + s3Object("")),
      "no word on its end": s3Listing(s3Head.replace(/<IsTruncated>.*/, "")),
      "truncated without a token": s3Listing(s3Head.replace("false", "true")),
      "other root": s3Listing(s3Head).replaceAll("ListBucketResult", "ListVersionsResult"),
      "the buckets":
        "<ListAllMyBucketsResult><Buckets><Bucket><Name>bucket</Name></Bucket></Buckets></ListAllMyBucketsResult>",
      "an error": "<Error><Code>InternalError</Code><Message>of the test</Message></Error>"
    }
  },
  Azure: {
    make: azure,
    good: azureListing(`<Prefix>pre-main</Prefix><Blobs>${azureBlob("pre-main-a")}</Blobs>`),
    bad: {
      "no content": azureListing(""),
      "no container": azureListing("<Blobs/>", ""),
      "another container": azureListing("<Blobs/>", 'ContainerName="other"'),
      "another prefix": azureListing("<Prefix>pre-other</Prefix><Blobs/>"),
      "a blob outside of the prefix": azureListing(`<Blobs>${azureBlob("other-a")}</Blobs>`),
      "a blob without a size": azureListing(`<Blobs>${azureBlob("pre-main-a").replace(/<Con.*h>/, "")}</Blobs>`),
      "the containers":
        '<EnumerationResults ServiceEndpoint="x"><Containers><Container><Name>container</Name></Container></Containers></EnumerationResults>',
      "an error": "<Error><Code>InternalError</Code><Message>of the test</Message></Error>"
    }
  }
}

/** Not from a store at all. */
const pages: Readonly<Record<string, string>> = {
  "a web page": "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>welcome</p></body></html>",
  "an XHTML page": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
  nothing: "",
  "a word": "OK",
  JSON: '{"status":"ok"}',
  "a new line": "\n"
}

const xml = { "content-type": "application/xml" }

const respond =
  (status: number, headers: http.OutgoingHttpHeaders, body: string): http.RequestListener =>
  (request, response) =>
    void request.resume().on("end", () => response.writeHead(status, headers).end(body))

const object = { name: "main-a", size: 3, etag: "e" }

const read = (storage: typeof Storage.Service, listed?: StoredObject) =>
  Effect.map(Stream.runCollect(storage.load("main-a", listed)), (chunks) => String(Buffer.concat(chunks)))

for (const [name, { bad, good, make }] of Object.entries(dialects)) {
  it.layer(NodeServices.layer, { excludeTestServices: true })(`${name}, a response with a status of success`, (it) => {
    it.effect("is a listing only when it is the one that was asked for", () =>
      Effect.gen(function* () {
        const server = yield* serve(respond(200, xml, good))
        assert.deepStrictEqual(yield* (yield* make(server.endpoint_url)).list("main"), [object])
        for (const [what, body] of Object.entries({ ...pages, ...bad })) {
          const server = yield* serve(respond(200, xml, body))
          const result = yield* Effect.result((yield* make(server.endpoint_url)).list("main"))
          if (Result.isSuccess(result)) return assert.fail(`${what}: ${JSON.stringify(result.success)}`)
          assert.strictEqual(result.failure.reason._tag, "Unavailable", `${what}: ${result.failure.message}`)
          assert.isTrue(result.failure.retryable)
        }
      })
    )

    it.effect("is no listing when it was cut off, wherever", () =>
      Effect.gen(function* () {
        let body = ""
        const server = yield* serve((request, response) => respond(200, xml, body)(request, response))
        const storage = yield* make(server.endpoint_url)
        const length = good.trimEnd().length
        for (let end = 0; end < length; end += end < length - 25 ? 7 : 1) {
          body = good.slice(0, end)
          const { reason } = yield* Effect.flip(storage.list("main"))
          assert.strictEqual(reason._tag, "Unavailable", body)
        }
      })
    )

    it.effect("is an object, or a store that was done, only with an ETag", () =>
      Effect.gen(function* () {
        for (const [what, body] of Object.entries(pages)) {
          const server = yield* serve(respond(200, { "content-type": "text/html" }, body))
          const storage = yield* make(server.endpoint_url)
          for (const call of [read(storage), read(storage, object), storage.store("main-a", textOf("new"))]) {
            const result = yield* Effect.result(call)
            if (Result.isSuccess(result)) return assert.fail(`${what}: ${result.success}`)
            assert.strictEqual(result.failure.reason._tag, "Unavailable", `${what}: ${result.failure.message}`)
          }
        }
      })
    )

    it.effect("is the object of the listing only with its ETag and its size", () =>
      Effect.gen(function* () {
        let seen: string | undefined
        let headers: http.OutgoingHttpHeaders = {}
        let body = "abc"
        const server = yield* serve((request, response) => {
          seen = request.headers["if-match"]
          respond(200, headers, body)(request, response)
        })
        const storage = yield* make(server.endpoint_url)
        headers = { etag: '"e"', "content-length": "3" }
        assert.strictEqual(yield* read(storage, object), "abc")
        assert.strictEqual(seen, '"e"')
        // Weak ones are of proxies that may change the encoding, and are compared likewise.
        headers = { etag: 'W/"e"', "content-length": "3" }
        assert.strictEqual(yield* read(storage, object), "abc")
        // A store without ETags in its listings.
        headers = { etag: '"other"', "content-length": "3" }
        assert.strictEqual(yield* read(storage, { ...object, etag: "" }), "abc")
        assert.isUndefined(seen)
        const wrong: ReadonlyArray<readonly [http.OutgoingHttpHeaders, string]> = [
          [{ etag: '"other"', "content-length": "3" }, "abc"],
          [{ "content-length": "3" }, "abc"],
          [{ etag: '"e"', "content-length": "2" }, "ab"],
          [{ etag: '"e"', "content-length": "4" }, "abcd"]
        ]
        for (const [wrongHeaders, wrongBody] of wrong) {
          headers = wrongHeaders
          body = wrongBody
          const { reason } = yield* Effect.flip(read(storage, object))
          assert.strictEqual(reason._tag, "Unavailable", reason.message)
        }
      })
    )

    it.effect("of a store that refuses If-Match for its own ETag is the object all the same", () =>
      Effect.gen(function* () {
        const code = name === "S3" ? "PreconditionFailed" : "ConditionNotMet"
        let etag = '"e"'
        const server = yield* serve((request, response) => {
          const refused = request.headers["if-match"] !== undefined
          const error = `<Error><Code>${code}</Code><Message>of the test</Message></Error>`
          const ok = { etag, "content-length": "3" }
          respond(refused ? 412 : 200, refused ? xml : ok, refused ? error : "abc")(request, response)
        })
        const storage = yield* make(server.endpoint_url)
        assert.strictEqual(yield* read(storage, object), "abc")
        etag = '"other"'
        const { reason } = yield* Effect.flip(read(storage, object))
        assert.deepInclude(reason, { _tag: "Unavailable", code: "BadResponse" })
      })
    )

    it.effect("or with 404 says that there is no such object only in the store's own words", () =>
      Effect.gen(function* () {
        const code = name === "S3" ? "NoSuchKey" : "BlobNotFound"
        const own = `<Error><Code>${code}</Code><Message>of the test</Message></Error>`
        const there = yield* serve(respond(404, { ...xml, "x-ms-error-code": code }, own))
        assert.strictEqual((yield* Effect.flip(read(yield* make(there.endpoint_url)))).reason._tag, "ObjectNotFound")
        for (const body of Object.values(pages)) {
          const server = yield* serve(respond(404, { "content-type": "text/html" }, body))
          const { reason } = yield* Effect.flip(read(yield* make(server.endpoint_url)))
          assert.deepInclude(reason, { _tag: "Refused", code: "404" })
        }
      })
    )
  })
}

it.layer(NodeServices.layer, { excludeTestServices: true })("S3, a body", (it) => {
  it.effect("without a length is held to the size of the listing: one that ends early or goes on is no object", () =>
    Effect.gen(function* () {
      let body = "abc"
      const server = yield* serve((_, response) => void response.writeHead(200, { etag: '"e"' }).end(body))
      const storage = yield* s3(server.endpoint_url)
      assert.strictEqual(yield* read(storage, object), "abc")
      for (body of ["", "ab", "abcd"]) {
        const { reason } = yield* Effect.flip(read(storage, object))
        assert.match(reason._tag, /^(?:WrongSize|Unavailable)$/)
      }
    })
  )

  it.effect("that never ends is no listing: it is given up before it fills the memory", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => {
        response.writeHead(200, xml).write("<ListBucketResult>")
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(1_000_000, " ")));
          response.once("drain", more)
        }
        more()
      })
      const { reason } = yield* Effect.flip((yield* s3(server.endpoint_url)).list("main"))
      assert.deepInclude(reason, { _tag: "Unavailable", code: "BadListing" })
      assert.include(reason.message, "it goes on after 67108864 bytes")
    })
  )

  it.effect("of something else is no listing, and the error says what came instead", () =>
    Effect.gen(function* () {
      const { good } = dialects["S3"]!
      const cases = {
        'it begins with "<!DOCTYPE': pages["a web page"]!,
        "it is empty": "",
        "it is cut off": good.slice(0, -10)
      }
      for (const [message, body] of Object.entries(cases)) {
        const server = yield* serve(respond(200, xml, body))
        const { reason } = yield* Effect.flip((yield* s3(server.endpoint_url)).list("main"))
        assert.deepInclude(reason, { _tag: "Unavailable", code: "BadListing" })
        assert.include(reason.message, message)
      }
    })
  )
})
