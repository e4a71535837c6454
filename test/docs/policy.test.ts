/**
 * The policy of docs/security.md is enforced by an S3 server: it is enough for an instance that does not clean, and
 * allows nothing outside of its prefix.
 */
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import { Swift } from "../support/servers/Swift.ts"
import * as Versitygw from "../support/servers/Versitygw.ts"
import { blocksOf, readText } from "./Documents.ts"

const versitygw = await Versitygw.installed()

const bucket = "lightningstream"

/** The policy as one of a bucket, which also names the user. */
const policyFor = (text: string, user: string) => {
  const policy = JSON.parse(blocksOf(text, "json")[0]!)
  for (const statement of policy.Statement) statement.Principal = { AWS: [user] }
  return JSON.stringify(policy)
}

/** A bucket with this policy, for a user, whose keys are returned. */
const putPolicy = Effect.fnUntraced(function* (installedIn: string) {
  const server = yield* Swift
  const user = yield* Versitygw.createUser(installedIn, server)
  const Policy = policyFor(yield* readText("docs/security.md"), user.access_key)
  const client = new S3Client({
    endpoint: server.endpoint_url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: {
      accessKeyId: Redacted.value(server.access_key),
      secretAccessKey: Redacted.value(server.secret_key)
    }
  })
  yield* Effect.promise(() => client.send(new CreateBucketCommand({ Bucket: bucket })))
  yield* Effect.promise(() => client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy })))
  return { ...user, bucket, endpoint_url: server.endpoint_url }
})

describeWith("the policy of docs/security.md", versitygw, (installedIn) => {
  const services = Versitygw.layerWithUsers(installedIn).pipe(Layer.provideMerge(NodeServices.layer))

  layer(services, { excludeTestServices: true })((it) => {
    it.effect("lets two instances sync within the prefix, and neither list nor store anything outside of it", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const options = yield* putPolicy(installedIn)
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "policy-" })
        const application = yield* Application.open(`${directory}/a.mdb`)
        yield* application.put("key", "value", 1n)
        const sync = (instance: string, global_prefix: string) =>
          Daemon.run({
            args: ["--timeout", "10s", "sync", "--only-once"],
            config: {
              ...Daemon.quick,
              instance,
              lmdbs: { main: Daemon.nativeFile(`${directory}/${instance}.mdb`, { create: true, map_size: "1MB" }) },
              storage: { type: "s3", options: { ...options, global_prefix } }
            }
          })
        for (const instance of ["a", "b"]) {
          const { code, text } = yield* sync(instance, "powerdns/")
          assert.strictEqual(code, 0, text)
        }
        const other = yield* Application.open(`${directory}/b.mdb`)
        assert.deepStrictEqual(yield* other.records, { key: "value" })

        const { code, log, text } = yield* sync("a", "other/")
        assert.strictEqual(code, 75, text)
        const refused = log.find(({ msg }) => msg === "Cannot list snapshots, retrying")
        assert.match(String(refused?.["error"]), /AccessDenied/)
        assert.isUndefined(log.find(({ msg }) => msg === "Stored snapshot"))
      })
    )
  })
})
