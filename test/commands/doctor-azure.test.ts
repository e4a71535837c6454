/** `doctor` as a process, on Microsoft's emulator of Azure Blob Storage. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { nativeFile } from "../support/Daemon.ts"
import * as Azurite from "../support/servers/Azurite.ts"
import { describeWith } from "../support/servers/RealServers.ts"

const wrongKey = Buffer.from("not the key").toString("base64")

const linesOf = (out: string, check: string) => out.split("\n").filter((line) => line.includes(` ${check}: `))

/** `doctor`, with a container that is made for it, or that is not there. */
const side = Effect.fnUntraced(function* (options: object) {
  const { account_key, account_name, endpoint_url } = yield* Azurite.Azurite
  const { directory } = yield* workspace((directory) => ({
    instance: "a",
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: {
      type: "azure",
      options: {
        account_name,
        account_key: Redacted.value(account_key),
        endpoint_url,
        use_shared_key: true,
        container: "doctor",
        ...options
      }
    }
  }))
  const command = (...args: ReadonlyArray<string>) => runBundled(args, { cwd: directory })
  return { command }
})

describeWith("doctor on Azure", await Azurite.installed(), (installed) => {
  it.live("finds nothing wrong and leaves nothing behind; names a wrong key and a missing container", () =>
    Effect.gen(function* () {
      yield* bundle
      const { command } = yield* side({ create_container: true })
      const put = yield* command("snapshots", "put", "--force", "-n", "thing", "lightningstream.yaml")
      assert.strictEqual(put.code, 0, put.err)
      const good = yield* command("doctor")
      assert.deepStrictEqual([good.code, good.err], [0, ""], good.out)
      assert.deepStrictEqual(
        linesOf(good.out, "permissions").map((line) => line.replace(/ in .*/, "")),
        ["list works: 1 objects", "put works", "get works", "delete works"].map(
          (text) => `ok       permissions: ${text}`
        )
      )
      assert.match(linesOf(good.out, "endpoint").join(), /^ok {7}endpoint: http:\/\/127\.0\.0\.1:\d+ responds within/)
      assert.match(linesOf(good.out, "clock").join(), /^ok {7}clock: within 2 s of the server's/)
      assert.strictEqual((yield* command("snapshots", "list")).out, "thing\n")

      const refused = yield* (yield* side({ account_key: wrongKey })).command("doctor")
      assert.strictEqual(refused.code, 1)
      const [list, store] = linesOf(refused.out, "permissions")
      assert.match(
        list!,
        /^error {4}permissions: list is refused: .*AuthorizationFailure.*the role Storage Blob Data Reader for the container$/
      )
      assert.match(
        store!,
        /^error {4}permissions: put is refused: .*AuthorizationFailure.*the role Storage Blob Data Contributor for the container$/
      )
      assert.notInclude(refused.out, "s3:")
      for (const secret of [wrongKey, Azurite.accountKey]) assert.notInclude(refused.out + refused.err, secret)

      const missing = yield* (yield* side({ container: "missing" })).command("doctor")
      assert.strictEqual(missing.code, 1)
      assert.match(linesOf(missing.out, "permissions")[0]!, /^error {4}permissions: list .*ontainer/)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Azurite.layer(installed), NodeServices.layer)))
  )
})
