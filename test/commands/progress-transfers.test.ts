/** What a person sees on a terminal while commands transfer snapshots, from and to a server that pauses halfway. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- bytes that cannot be compressed
import { createHash } from "node:crypto"
import { bundle, bundled, execute, workspace } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { object } from "../support/fixtures/Snapshots.ts"
import { listing, serve } from "../support/servers/HandMadeServer.ts"

const name = "main__b__20250101-000000-000000000__GX.pb.gz"
const pauseMillis = 5_000

/** Text that compresses to about half of its length. */
const noise = (blocks: number) =>
  Array.from({ length: blocks }, (_, i) => createHash("sha256").update(String(i)).digest("hex")).join("")

const snapshot = object({ records: [["k", 5, noise(40_000)]] })
const uploadBytes = 150_000_000

/** A bucket with one snapshot. Each transfer of it, and each upload of a large object, pauses. */
const slowServer = () =>
  serve((request, response) => {
    const isList = request.url!.includes("list-type=2")
    const isSnapshot = request.url!.includes(name)
    response.setHeader("etag", '"e"')
    if (request.method === "POST") {
      const [result, id] = request.url!.includes("uploadId=")
        ? ["Complete", ""]
        : ["Initiate", "<UploadId>u</UploadId>"]
      response.end(`<${result}MultipartUploadResult>${id}<ETag>"e"</ETag></${result}MultipartUploadResult>`)
      return
    }
    if (request.method === "PUT" && request.url!.includes("large")) {
      // A part of the upload. The client sends a few of them at once.
      if (!/partNumber=[1-4]&/.test(request.url!)) return void request.resume().on("end", () => response.end())
      // @effect-diagnostics-next-line globalTimers:off -- within Node's own server
      setTimeout(() => request.resume().on("end", () => response.end()), pauseMillis)
      return
    }
    request.resume().on("end", () => {
      if (isList) return void response.end(listing(name).replace("<Size>1<", `<Size>${snapshot.length}<`))
      if (request.method !== "GET" || !isSnapshot) return void response.end()
      const half = snapshot.length >> 1
      response.writeHead(200, { "content-length": String(snapshot.length) }).write(snapshot.subarray(0, half))
      // @effect-diagnostics-next-line globalTimers:off -- as above
      setTimeout(() => response.end(snapshot.subarray(half)), pauseMillis)
    })
  })

const amounts = (percent: string, label: string) =>
  new RegExp(`${label}: [\\d.]+ [KM]iB of [\\d.]+ MiB \\(${percent}%\\), [\\d.]+ [KM]iB/s, \\d+s left`)

const commands = [
  [`snapshots get ${name}`, amounts("[45]\\d", "Downloading main__b__[^:]*")],
  [`snapshots dump ${name} > /dev/null`, amounts("2\\d", "Dumping main__b__[^:]*")],
  ["snapshots put --force -n large large", amounts("4\\d", "Uploading large")],
  ["restore latest --to new.lmdb", amounts("[45]\\d", "Restoring main")],
  ["verify", amounts("[45]\\d", "Downloading snapshots of main")],
  ["doctor", amounts("[45]\\d", "Reading snapshots of main")],
  ["sync --dry-run", amounts("[45]\\d", "Downloading snapshots of main")]
] as const

layer(NodeServices.layer, { excludeTestServices: true })("progress of transfers", (it) => {
  for (const [line, expected] of commands) {
    // Each waits for its server most of the time.
    const test = Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const { endpoint_url } = yield* slowServer()
      const { directory } = yield* workspace((directory) => ({
        instance: "a",
        lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
        storage: {
          type: "s3",
          options: { endpoint_url, access_key: "a", secret_key: "s", bucket: "bucket" }
        }
      }))
      yield* fs.writeFileString(`${directory}/large`, "")
      yield* fs.truncate(`${directory}/large`, uploadBytes)
      const command = `${process.execPath} ${bundled} ${line}`
      const { out } = yield* execute(["/usr/bin/script", "-qec", command, "/dev/null"], { cwd: directory })
      assert.match(out, expected)
    })
    it.effect(`${line}: the amount, the rate and the time left`, () => test, { concurrent: true })
  }
})
