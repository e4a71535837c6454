/**
 * `npm run demo` shows two servers in sync on this machine, with two LMDBs in a temporary directory, a real daemon for
 * each as a separate process, and a directory as the bucket. A process that stands for the application writes entries
 * to one side and then to the other, and their arrival is shown.
 *
 * Then the demonstration shows your own changes until Ctrl-C. With `--once`, it ends after the first part with exit
 * code 0, or 1 if something did not arrive.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Data, Effect, Exit, FileSystem } from "effect"
import * as Child from "../bench/Child.ts"
import * as Daemon from "../bench/Daemon.ts"
import { rssAnon } from "../bench/Proc.ts"
import { Arrivals, type Side } from "./Arrivals.ts"

const at = (path: string): URL => new URL(`../${path}`, import.meta.url)

class NotArrived extends Data.TaggedError("NotArrived")<{ readonly what: string }> {
  override get message(): string {
    return `${this.what} did not arrive within ${patience}`
  }
}

const patience = "20 seconds"
const poll = "100ms"
/** Number of entries at the start. */
const others = 10_000

/** Formats a time in milliseconds as seconds. */
const after = (millis: number): string => `${(millis / 1000).toFixed(2)} s`

const objects = Effect.fnUntraced(function* (bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.readDirectory(bucket)).filter((name) => !name.startsWith(".") && !name.endsWith(".tmp"))
  return yield* Effect.forEach(names.toSorted(), (name) =>
    Effect.map(fs.stat(`${bucket}/${name}`), ({ size }) => ({ name, size: Number(size) }))
  )
})

const put = (side: Side, key: string, value: string) => Child.runOnly(at("demo/put.ts"), [side.path, key, value])

interface Demo {
  readonly a: Side
  readonly b: Side
  readonly bucket: string
  readonly arrivals: Arrivals
}

/** Writes an entry on one side, waits for it on the other, and shows what was uploaded for it. */
const step = Effect.fnUntraced(function* (
  { arrivals, bucket }: Demo,
  number: number,
  from: Side,
  to: Side,
  key: string,
  value: string
) {
  const before = new Set((yield* objects(bucket)).map(({ name }) => name))
  yield* Console.log(`${number}. Written at ${from.name}:  ${key} = ${value}`)
  const arrived = Effect.timeoutOrElse(arrivals.next, {
    duration: patience,
    orElse: () => new NotArrived({ what: `${key} = ${value}` })
  })
  const [, arrival] = yield* Effect.all([put(from, key, value), arrived], { concurrency: 2 })
  const isOther =
    arrival.key !== key || arrival.text !== value || (arrival.route !== undefined && arrival.route.to !== to.name)
  if (isOther) return yield* new NotArrived({ what: `${key} = ${value}` })
  yield* Console.log(`   Seen at ${to.name} after ${after(arrival.millis)}`)
  for (const { name, size } of yield* objects(bucket)) {
    if (before.has(name)) continue
    const kind = name.includes(".pbd.") ? "delta" : "snapshot"
    yield* Console.log(`   Uploaded ${size} bytes, a ${kind}:\n   ${name}`)
  }
})

const memory = Effect.fnUntraced(function* (daemons: ReadonlyArray<Daemon.Daemon>) {
  const used = yield* Effect.forEach(daemons, ({ instance, pid }) =>
    Effect.map(rssAnon(pid), (megabytes) => `${instance} ${megabytes.toFixed(0)} MB`)
  )
  yield* Console.log(`\nMemory of the daemons (RssAnon): ${used.join(", ")}`)
})

/**
 * The command that runs Node in another terminal, where `node` may be another version than the one that was installed
 * with the dependencies.
 */
const nodeCommand = process.execPath.includes("node_modules") ? "npx node" : "node"

const follow = Effect.fnUntraced(function* ({ a, arrivals, b }: Demo) {
  yield* Console.log("\nPress Ctrl-C, or change it yourself, from this directory in another terminal:")
  for (const { path } of [a, b]) yield* Console.log(`  ${nodeCommand} demo/put.ts ${path} fruit cherry`)
  yield* Console.log("")
  for (;;) {
    const { key, millis, route, text } = yield* arrivals.next
    const where = route === undefined ? "seen at both" : `from ${route.from}, seen at ${route.to}`
    yield* Console.log(`${key} = ${text}: ${where} after ${after(millis)}`)
  }
})

const run = Effect.fnUntraced(function* (once: boolean) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "ls-demo-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  yield* Child.runOnly(at("scripts/build.mjs"), [])
  const [a, b] = [
    { name: "a", path: `${directory}/a.mdb` },
    { name: "b", path: `${directory}/b.mdb` }
  ]
  const demo: Demo = { a, b, bucket, arrivals: new Arrivals(a, b) }
  yield* Console.log(
    `Two servers, a and b, with an LMDB and a daemon each, and one bucket,\nall in ${directory}; the daemons look every ${poll}.\nThe LMDB of a begins with ${others} entries.`
  )
  yield* Child.runOnly(at("demo/fill.ts"), [a.path, String(others)])
  const daemons = yield* Effect.forEach([a, b], ({ name, path }) =>
    Daemon.start(at("bin/lightningstream.js"), { instance: name, lmdb: path, bucket, directory, poll })
  )
  const story = Effect.gen(function* () {
    const ready = Effect.forEach(daemons, (daemon) => daemon.ready)
    yield* Effect.timeoutOrElse(ready, {
      duration: patience,
      orElse: () => new NotArrived({ what: "The daemons' being ready" })
    })
    yield* Console.log(
      `Daemons ready: ${daemons.map(({ instance, pid }) => `${instance} is process ${pid}`).join(", ")}.\n`
    )
    yield* step(demo, 1, a, b, "fruit", "apple")
    yield* step(demo, 2, b, a, "drink", "tea")
    yield* step(demo, 3, b, a, "fruit", "banana")
    yield* memory(daemons)
    if (!once) return yield* follow(demo)
  })
  yield* Effect.raceAllFirst([story, ...daemons.map(({ ended }) => ended)])
  yield* Console.log("\nAll arrived. Ending the daemons and removing the directory.")
}, Effect.scoped)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

Effect.suspend(() => run(process.argv.includes("--once"))).pipe(
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.void
      : Console.error(`\nThe demonstration failed: ${messageOf(Cause.squash(cause))}`)
  ),
  Effect.provide(NodeServices.layer),
  (program) =>
    NodeRuntime.runMain(program, {
      disableErrorReporting: true,
      // Ctrl-C is the regular end of the demonstration.
      teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
    })
)
