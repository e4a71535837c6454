/**
 * `node bench/bucket.ts OBJECT FILE OTHERS`: an S3 server with one bucket. The bucket contains the object OBJECT with
 * the content of FILE, and a number of OTHERS that are not snapshots. The server accepts and discards what is stored,
 * and does not check signatures. Prints its port.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a file as the body of an answer
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as little as a server can be: it runs beside what is measured
import * as http from "node:http"
import type { AddressInfo } from "node:net"

const [object, file, others] = process.argv.slice(2) as [string, string, string]
const { size } = fs.statSync(file)

const contents = (key: string, bytes: number) =>
  `<Contents><Key>${key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>${bytes}</Size></Contents>`

const all = [
  contents(object, size),
  ...Array.from({ length: Number(others) }, (_, index) => contents(`main__no-snapshot-${index}`, 1))
]

/** Returns a page of the listing. Continuation tokens are positions. */
const listing = (search: URLSearchParams) => {
  const from = Number(search.get("continuation-token") ?? 0)
  const to = from + Number(search.get("max-keys") ?? 1000)
  const next =
    to < all.length
      ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${to}</NextContinuationToken>`
      : "<IsTruncated>false</IsTruncated>"
  return `<?xml version="1.0"?><ListBucketResult>${next}${all.slice(from, to).join("")}</ListBucketResult>`
}

const uploads = (search: URLSearchParams) =>
  search.has("uploads")
    ? '<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'
    : '<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'

const answer: http.RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://bucket")
  // The request is read to its end, so that the connection can be reused.
  request.resume().on("end", () => {
    if (request.method === "POST") return response.end(uploads(searchParams))
    if (request.method !== "GET")
      return response.writeHead(request.method === "DELETE" ? 204 : 200, { etag: '"e"' }).end()
    if (searchParams.has("list-type")) return response.end(listing(searchParams))
    if (!pathname.endsWith(`/${object}`)) return response.writeHead(404).end()
    fs.createReadStream(file, { highWaterMark: 256 * 1024 }).pipe(
      response.writeHead(200, { "content-length": size, etag: '"e"' })
    )
  })
}

Effect.callback<never>(() => {
  const server = http.createServer(answer)
  server.listen(0, "127.0.0.1", () => void process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
}).pipe(NodeRuntime.runMain)
