/**
 * The Compose example: docker-compose takes it, and its services, with the commands and files that it gives them, work
 * together outside of containers, at paths and ports of this test.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import { parse } from "yaml"
import { execute, run } from "../support/Command.ts"
import { eventually } from "../support/Eventually.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import * as Prometheus from "../support/servers/Prometheus.ts"
import { describeWith, install, pathOf } from "../support/servers/RealServers.ts"
import { freePort } from "../support/servers/Swift.ts"
import * as Versitygw from "../support/servers/Versitygw.ts"

const directory = pathOf("../../../packaging/compose")
const [compose, prometheus, pdns, versitygw] = [
  await install({ name: "docker-compose", suite: "trixie", packages: ["docker-compose"] }),
  await Prometheus.installed(),
  await Pdns.installed(),
  await Versitygw.installed()
]
const servers = versitygw._tag === "Missing" ? versitygw : pdns

interface Service {
  readonly command?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: ReadonlyArray<string>
}

const readText = (name: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(`${directory}/${name}`))

const services = Effect.map(
  readText("docker-compose.yaml"),
  (text): Readonly<Record<string, Service>> => parse(text, { merge: true }).services
)

/** The S3 server, by its command. Returns its port. */
const startS3 = Effect.fnUntraced(function* (installedIn: string, state: string, { command, environment }: Service) {
  const port = yield* freePort
  const args = command!.map((word) => word.replace(":9000", `127.0.0.1:${port}`).replace("/data", state))
  yield* ChildProcess.make(`${installedIn}/bin/versitygw`, args, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    killSignal: "SIGKILL",
    env: { ...environment }
  })
  return port
})

layer(NodeServices.layer, { excludeTestServices: true })("packaging/compose", (it) => {
  describeWith("docker-compose", compose, (installedIn) => {
    it.effect("takes the file", () =>
      Effect.gen(function* () {
        const file = `${directory}/docker-compose.yaml`
        const line = ["sh", pathOf("deb-run.sh"), installedIn, "docker-compose", "--file", file, "config", "--quiet"]
        assert.deepStrictEqual(yield* execute(line), { code: 0, out: "", err: "" })
      })
    )
  })

  it.effect("mounts files that are there, and declares its volumes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { volumes } = parse(yield* readText("docker-compose.yaml"), { merge: true })
      for (const [name, service] of Object.entries(yield* services)) {
        for (const volume of service.volumes ?? []) {
          const source = volume.split(":")[0]!
          const isThere = source.startsWith(".") ? yield* fs.exists(`${directory}/${source}`) : source in volumes
          assert.isTrue(isThere, `${name}: ${volume}`)
        }
      }
    })
  )

  describeWith("its Prometheus", prometheus, (installedIn) => {
    it.effect("starts as it is called, with its configuration, and looks at both daemons", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const home = yield* fs.makeTempDirectoryScoped({ prefix: "compose-" })
        const rules = pathOf("../../../contrib/prometheus-alerts.yml")
        const text = yield* readText("prometheus.yaml")
        yield* fs.writeFileString(`${home}/prometheus.yaml`, text.replace("/etc/prometheus/alerts.yaml", rules))
        const checked = yield* Prometheus.promtool(installedIn, "check", "config", `${home}/prometheus.yaml`)
        assert.strictEqual(checked.code, 0, checked.out + checked.err)
        const args = (yield* services)["prometheus"]!.command!.map((word) => word.replace("/etc/prometheus", home))
        const address = yield* Prometheus.start(installedIn, home, args)
        const get = (path: string) =>
          Effect.tryPromise(() => fetch(`http://${address}/api/v1/${path}`).then((response) => response.json()))
        const urls = yield* eventually(
          "Prometheus has its targets",
          Effect.map(get("targets"), ({ data }) => {
            const found: ReadonlyArray<{ readonly scrapeUrl: string }> = data.activeTargets
            return found.length > 0 ? found.map(({ scrapeUrl }) => scrapeUrl) : undefined
          }),
          () => ""
        )
        assert.sameMembers(urls, ["http://sync1:8500/metrics", "http://sync2:8500/metrics"])
        const { data: loaded } = yield* get("rules")
        assert.lengthOf(
          loaded.groups.flatMap(({ rules: found }: { readonly rules: ReadonlyArray<unknown> }) => found),
          11
        )
      })
    )
  })

  it.effect("gives Grafana our dashboard where it looks for one, and Prometheus where that is", () =>
    Effect.gen(function* () {
      const { grafana } = yield* services
      const places = grafana!.volumes!.map((volume) => volume.split(":").slice(0, 2) as [string, string])
      const fs = yield* FileSystem.FileSystem
      const [dashboard, target] = places.find(([file]) => file.endsWith(".json"))!
      const { panels } = JSON.parse(yield* fs.readFileString(`${directory}/${dashboard}`))
      assert.isAbove(panels.length, 5)
      const { providers } = parse(yield* readText("dashboards.yaml"))
      assert.strictEqual(target.slice(0, target.lastIndexOf("/")), providers[0].options.path)
      const { datasources } = parse(yield* readText("grafana.yaml"))
      assert.deepInclude(datasources[0], { type: "prometheus", url: "http://prometheus:9090", isDefault: true })
      for (const [file, kind] of [
        ["./grafana.yaml", "datasources"],
        ["./dashboards.yaml", "dashboards"]
      ]) {
        assert.match(places.find(([source]) => source === file)![1], new RegExp(`^/etc/grafana/provisioning/${kind}/`))
      }
    })
  )

  describeWith("its services", servers, (installedIn) => {
    it.effect("bring a zone from one server to the other", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { dns1, s3, sync1, sync2 } = yield* services
        assert.isDefined(dns1)
        const state = yield* fs.makeTempDirectoryScoped({ prefix: "compose-" })
        const port = yield* startS3(versitygw._tag === "Installed" ? versitygw.directory : "", state, s3!)
        const [first, second] = yield* Effect.all(
          [sync1!, sync2!].map((service) =>
            Effect.gen(function* () {
              const home = yield* fs.makeTempDirectoryScoped({ prefix: "compose-" })
              const settings = (yield* readText("pdns.conf")).replace("/var/lib/powerdns", home)
              const server = yield* Pdns.start(installedIn, { directory: home, settings })
              const file = (yield* readText("lightningstream.yaml"))
                .replaceAll("/var/lib/powerdns", home)
                .replace("http://s3:9000", `http://127.0.0.1:${port}`)
              yield* fs.writeFileString(`${home}/lightningstream.yaml`, file)
              const args = service.command!.map((word) => word.replace("/etc/", `${home}/`))
              const sync = run([...args, "--only-once"], { env: service.environment! })
              return { ...server, sync }
            })
          )
        )
        yield* first!.pdnsutil("create-zone", "example.org", "ns1.example.org")
        yield* first!.pdnsutil("add-record", "example.org", "www", "A", "192.0.2.1")
        const done = yield* eventually(
          "the first server syncs",
          Effect.map(first!.sync, (result) => (result.code === 0 ? result : undefined)),
          () => ""
        )
        const { code, err } = yield* second!.sync
        assert.strictEqual(code, 0, done.err + err)
        assert.deepStrictEqual(yield* second!.addresses("www.example.org"), ["192.0.2.1"])
      })
    )
  })
})
