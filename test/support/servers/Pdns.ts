/**
 * A PowerDNS with the LMDB backend, configured as for Lightning Stream: one LMDB for the domains, and one shard for the
 * records. It listens on a free port of 127.0.0.1, without caches, so that its responses reflect the LMDBs. PowerDNS
 * creates a shard and its DBIs when they are first used.
 */
import { Effect, FileSystem, type PlatformError, Schedule, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Resolver } from "node:dns/promises"
import { eventually } from "../Eventually.ts"
import { ProcessFailed } from "../ProcessFailed.ts"
import { install, pathOf } from "./RealServers.ts"
import { freePort } from "./Swift.ts"

const packages = ["pdns-server", "pdns-backend-lmdb", "lmdb-utils", "bind9-dnsutils"]

/** PowerDNS 4.9. */
export const installed = () => install({ name: "pdns", suite: "trixie", packages })

/** PowerDNS 5, from Debian's next release. */
export const installed5 = () => install({ name: "pdns-5", suite: "forky", packages })

/** `lmdb-map-size` in MiB. The map size in the daemon's configuration must be the same. */
export const mapSizeMiB = 100

/** The data files of the two LMDBs. */
export interface Files {
  readonly domains: string
  readonly records: string
}

export interface Pdns extends Files {
  readonly port: number
  /** Runs pdnsutil. Fails if the command does. */
  readonly pdnsutil: (
    ...args: ReadonlyArray<string>
  ) => Effect.Effect<string, ProcessFailed | PlatformError.PlatformError>
  /** Returns the sorted addresses of a name, or none if there is no such name or zone. */
  readonly addresses: (name: string) => Effect.Effect<ReadonlyArray<string>>
}

/** Returns the settings of the LMDBs, which are in this directory. */
const lmdbSettings = (directory: string) =>
  `launch=lmdb
lmdb-filename=${directory}/pdns.lmdb
lmdb-shards=1
lmdb-lightning-stream=yes
lmdb-map-size=${mapSizeMiB}
`

/** Returns the settings of the server: its address, and no caches. */
const serverSettings = (installedIn: string, directory: string, port: number) =>
  `module-dir=${installedIn}/usr/lib/x86_64-linux-gnu/pdns
socket-dir=${directory}
local-address=127.0.0.1
local-port=${port}
guardian=no
daemon=no
disable-syslog=yes
zone-cache-refresh-interval=0
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
`

/** Runs a program of the packages, and returns what it prints. */
export const runTool = (installedIn: string, program: string, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const handle = yield* ChildProcess.make("sh", [pathOf("deb-run.sh"), installedIn, program, ...args], {
      stdin: "ignore"
    })
    const [output, problems] = yield* Effect.all(
      [Stream.mkString(Stream.decodeText(handle.stdout)), Stream.mkString(Stream.decodeText(handle.stderr))],
      { concurrency: 2 }
    )
    const code = yield* handle.exitCode
    if (code !== 0)
      return yield* new ProcessFailed({
        what: `${program} ${args.join(" ")} ended with ${code}`,
        output: output + problems
      })
    return output
  }).pipe(Effect.scoped)

/** Returns the keys and values of each DBI in hexadecimal, as stock LMDB reads them. */
export const mdbDump = (installedIn: string, file: string) =>
  Effect.map(runTool(installedIn, "mdb_dump", ["-n", "-a", file]), (text) => {
    const dbis: Record<string, Array<readonly [string, string]>> = {}
    for (const section of text.split("DATA=END\n").slice(0, -1)) {
      const [head, data] = section.split("HEADER=END\n") as [string, string]
      const lines = data
        .split("\n")
        .slice(0, -1)
        .map((line) => line.slice(1))
      dbis[/^database=(.*)$/m.exec(head)![1]!] = Array.from(
        { length: lines.length / 2 },
        (_, i) => [lines[2 * i]!, lines[2 * i + 1]!] as const
      )
    }
    return dbis
  })

export interface Options {
  /** Directory of its LMDBs. If absent, a temporary one is used. */
  readonly directory?: string
  /** Replaces the usual settings of its LMDBs. */
  readonly settings?: string
}

const startOnce = Effect.fnUntraced(function* (installedIn: string, { directory: given, settings }: Options) {
  const fs = yield* FileSystem.FileSystem
  const spawner = yield* Effect.context<ChildProcessSpawner.ChildProcessSpawner>()
  const directory = given ?? (yield* fs.makeTempDirectoryScoped({ prefix: "pdns-" }))
  const port = yield* freePort
  const configuration = `${settings ?? lmdbSettings(directory)}\n${serverSettings(installedIn, directory, port)}`
  yield* fs.writeFileString(`${directory}/pdns.conf`, configuration)
  const handle = yield* ChildProcess.make(
    "sh",
    [pathOf("deb-run.sh"), installedIn, "pdns_server", `--config-dir=${directory}`],
    {
      stdin: "ignore",
      killSignal: "SIGKILL"
    }
  )
  const lines: Array<string> = []
  // The output is read to its end, because a full pipe would block the server.
  const reading = yield* Effect.forkScoped(
    Stream.runForEach(Stream.splitLines(Stream.decodeText(handle.all)), (line) =>
      Effect.sync(() => void lines.push(line))
    )
  )
  yield* eventually(
    "PowerDNS has started",
    Effect.gen(function* () {
      if (reading.pollUnsafe() !== undefined)
        return yield* new ProcessFailed({ what: "PowerDNS ended", output: lines.join("\n") })
      return lines.find((line) => line.includes("Done launching threads"))
    }),
    () => lines.join("\n")
  )
  const resolver = new Resolver({ timeout: 2000, tries: 3 })
  resolver.setServers([`127.0.0.1:${port}`])
  const pdns: Pdns = {
    port,
    domains: `${directory}/pdns.lmdb`,
    records: `${directory}/pdns.lmdb-0`,
    pdnsutil: (...args) =>
      Effect.provide(runTool(installedIn, "pdnsutil", [`--config-dir=${directory}`, ...args]), spawner),
    addresses: (name) =>
      Effect.tryPromise(() => resolver.resolve4(name)).pipe(
        Effect.map((found) => found.sort()),
        Effect.orElseSucceed(() => [])
      )
  }
  return pdns
})

/** Starts a server, which runs until the scope closes. `installedIn` is the directory of the packages. */
export const start = (installedIn: string, options: Options = {}) =>
  Effect.retry(startOnce(installedIn, options), Schedule.recurs(2))
