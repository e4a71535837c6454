/**
 * Takes the screenshots of the status page in docs/images, of real daemons in a real Chromium: `node
 * scripts/screenshots.ts [few | many]`. Those with few databases take two minutes, mostly because a daemon needs that
 * long to show failures.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem } from "effect"
import { join } from "node:path"
import * as Application from "../test/support/Application.ts"
import * as Chromium from "../test/support/Chromium.ts"
import * as Daemon from "../test/support/Daemon.ts"
import { addressOf } from "../test/support/HttpPages.ts"
import * as ManyDatabases from "../test/support/ManyDatabases.ts"

const directory = join(import.meta.dirname, "..", "docs", "images")

const wanted = process.argv.slice(2)

const screens: Readonly<Record<string, Chromium.Screen>> = {
  "desktop-light": { width: 1280, height: 1000 },
  "desktop-dark": { width: 1280, height: 1000, isDark: true },
  "phone-light": { width: 390, height: 844, isPhone: true },
  "phone-dark": { width: 390, height: 844, isPhone: true, isDark: true }
}

type Tab = Effect.Success<ReturnType<typeof Chromium.open>>

/** Takes screenshots of a state of the page. `looks` contains the names of the screens. */
const shoot = Effect.fnUntraced(function* (tab: Tab, address: string, state: string, looks: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  for (const look of looks) {
    yield* tab.goTo(`http://${address}/`, screens[look]!)
    const file = join(directory, `status-${state}-${look}.png`)
    yield* fs.writeFile(file, yield* tab.screenshot)
    yield* Console.log(file)
  }
})

const makeDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "screenshots-" })
)

const put = (dbi: string, key: string, isDeleted: boolean) => ({
  do: "put" as const,
  dbi,
  key: Application.hex(key),
  value: Application.native(isDeleted ? "" : "v".repeat(60), 1_700_000_000_000_000_000n, isDeleted)
})

/** Starts an application with domains and records in its LMDB, one in ten of which was deleted. */
const startApplication = Effect.fnUntraced(function* (path: string, records: number) {
  const application = yield* Application.open(path, 4 * Application.megabyte)
  yield* application.write({ do: "create", dbi: "domains", flags: 0 })
  yield* application.write(
    ...Array.from({ length: records / 10 }, (_, i) => put("domains", `domain ${i}`, false)),
    ...Array.from({ length: records }, (_, i) => put("records", `record ${i}`, i % 10 === 0))
  )
  return application
})

const databases = ["main", "shard"]

/** Starts a server with two databases. */
const startServer = Effect.fnUntraced(function* (instance: string, bucket: string, records: number) {
  const path = yield* makeDirectory
  const applications = yield* Effect.forEach(databases, (name) => startApplication(`${path}/${name}`, records))
  const config = {
    ...Daemon.quick,
    instance,
    lmdbs: Object.fromEntries(databases.map((name) => [name, Daemon.nativeFile(`${path}/${name}`)])),
    storage: Daemon.folderBucket(bucket),
    http: { address: "127.0.0.1:0" }
  }
  const daemon = yield* Daemon.start({ args: ["sync"], config })
  yield* daemon.logged("Initial sync complete", ({ db }) => db === "main")
  yield* daemon.logged("Initial sync complete", ({ db }) => db === "shard")
  return { address: yield* addressOf(daemon), application: applications[0]! }
})

const few = Effect.fnUntraced(function* (tab: Tab) {
  const fs = yield* FileSystem.FileSystem
  const bucket = `${yield* makeDirectory}/bucket`
  yield* fs.makeDirectory(bucket)
  const [first, ...others] = ["ns1", "ns2", "ns3"]
  for (const instance of others) yield* startServer(instance, bucket, 2_000)
  const { address, application } = yield* startServer(first!, bucket, 2_000)
  yield* Effect.sleep("5 seconds")
  yield* shoot(tab, address, "healthy", Object.keys(screens))

  // The problems to show: an object that is not a snapshot, a nearly full map, and a bucket that has disappeared.
  yield* fs.writeFileString(`${bucket}/main__ns4__20250101-000000-000000000__GX.pb.gz`, "no snapshot")
  yield* application.put("large", Buffer.alloc(3_000_000), 1_800_000_000_000_000_000n)
  yield* Effect.sleep("5 seconds")
  yield* fs.rename(bucket, `${bucket}-gone`)
  yield* application.put("unsent", "value", 1_800_000_000_000_000_000n)
  yield* Effect.sleep("45 seconds")
  yield* shoot(tab, address, "failing", Object.keys(screens))
}, Effect.scoped)

/** Takes the screenshots with 64 databases and 20 instances. */
const many = Effect.fnUntraced(function* (tab: Tab) {
  const fs = yield* FileSystem.FileSystem
  const address = yield* ManyDatabases.start
  yield* shoot(tab, address, "many", ["desktop-light"])
  yield* tab.goTo(`http://${address}/`, screens["phone-dark"]!)
  yield* tab.evaluate(`(() => {
    const filter = document.getElementById("filter")
    filter.value = "shard3"
    filter.dispatchEvent(new Event("input"))
    document.getElementById("open").click()
  })()`)
  yield* fs.writeFile(join(directory, "status-many-filtered-phone-dark.png"), yield* tab.screenshot)
}, Effect.scoped)

const run = Effect.gen(function* () {
  const found = yield* Effect.promise(Chromium.installed)
  if (found._tag === "Missing") return yield* Effect.die(found.reason)
  yield* (yield* FileSystem.FileSystem).makeDirectory(directory, { recursive: true })
  const tab = yield* Chromium.open(found.directory)
  if (!wanted.includes("many")) yield* few(tab)
  if (!wanted.includes("few")) yield* many(tab)
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

NodeRuntime.runMain(run)
