/** Keys of the configuration are on no page, though the server quotes what it was sent. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Daemon from "../../support/Daemon.ts"
import { addressOf, get, healthOf } from "../../support/HttpPages.ts"
import { eventually } from "../../support/Eventually.ts"
import { serve } from "../../support/servers/HandMadeServer.ts"

const accessKey = "AKIDOFTHETEST0001"
const secretKey = "secret/of+the/test"

const quoting = `<Error><Code>SignatureDoesNotMatch</Code><Message>key ${accessKey} with ${secretKey}</Message></Error>`

layer(NodeServices.layer, { excludeTestServices: true })("the pages of a daemon", (it) => {
  it.effect("have no secret, and say what fails", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "secrets-" })
      const store = yield* serve((request, response) =>
        request.resume().on("end", () => response.writeHead(403, { "content-type": "application/xml" }).end(quoting))
      )
      const options = {
        endpoint_url: store.endpoint_url,
        access_key: accessKey,
        secret_key: secretKey,
        bucket: "b"
      }
      const config = {
        ...Daemon.quick,
        instance: "a",
        lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
        storage: { type: "s3", options },
        health: { storage_list: { interval: "100ms", warn_duration: "1ms", error_duration: "1h" } },
        http: { address: "127.0.0.1:0" }
      }
      const daemon = yield* Daemon.start({ args: ["sync"], config })
      const address = yield* addressOf(daemon)
      yield* eventually(
        "the listing fails",
        Effect.map(healthOf(address), ({ warnings }) => warnings["main_storage_list_failed_duration"])
      )
      for (const path of ["/", "/healthz", "/storage"])
        assert.include((yield* get(address, path)).body, "SignatureDoesNotMatch", path)
      for (const path of ["/", "/healthz", "/storage", "/metrics", "/nothing"]) {
        const { body } = yield* get(address, path)
        for (const secret of [accessKey, secretKey]) assert.notInclude(body, secret, path)
      }
      for (const secret of [accessKey, secretKey]) assert.notInclude(daemon.text(), secret)
    })
  )
})
