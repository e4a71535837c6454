/**
 * Measures how long a running daemon takes to respond to /healthz in two situations: while another process holds the
 * write lock that a merge needs, and during the merge itself, which writes all entries to an empty LMDB. An idle server
 * gets the same requests: if both responses are late, the machine is the cause.
 */
import { Data, Effect, FileSystem } from "effect"
import * as SnapshotName from "../src/domain/snapshot/SnapshotName.ts"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import * as LockHolder from "./LockHolder.ts"
import { atMost, milliseconds, plain, type Row } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const heldMillis = 3000

const waitMax = 50

/** Time between two requests. */
const pause = "10 millis"

const bareServer = new URL("./bare-http.ts", import.meta.url)

class NoResponse extends Data.TaggedError("NoResponse")<{ readonly url: string; readonly detail: string }> {
  override get message(): string {
    return `${this.url}: ${this.detail}`
  }
}

interface Waits {
  longestMillis: number
  asked: number
}

const ask = (url: string) =>
  Effect.tryPromise({
    try: (signal) => fetch(url, { signal }).then((response) => response.text()),
    catch: (error) => new NoResponse({ url, detail: String(error) })
  })

/** Sends requests until it is interrupted. */
const keepAsking = (url: string, waits: Waits) =>
  Effect.gen(function* () {
    const began = performance.now()
    yield* ask(url)
    waits.longestMillis = Math.max(waits.longestMillis, performance.now() - began)
    waits.asked++
    yield* Effect.sleep(pause)
  }).pipe(Effect.forever)

/** Returns the longest waits for responses from each address while `use` runs. */
const during = Effect.fnUntraced(function* <E, R>(urls: ReadonlyArray<string>, use: Effect.Effect<void, E, R>) {
  const waits = urls.map((): Waits => ({ longestMillis: 0, asked: 0 }))
  const asking = Effect.forEach(urls, (url, index) => keepAsking(url, waits[index]!), { concurrency: "unbounded" })
  yield* Effect.raceFirst(use, asking)
  return waits
})

const objectName = SnapshotName.format({
  database: "main",
  instance: "other",
  timestampNano: 1_700_000_000_000_000_000n,
  format: "gzip"
})

export const run = Effect.fn("HealthWait.run")(function* ({
  directory: parent,
  entries,
  snapshot,
  target
}: Workspace.Workspace) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: parent, prefix: "health-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  yield* fs.copyFile(snapshot, `${directory}/half`)
  yield* Workspace.makeEmpty(target)
  const port = yield* Child.firstLine(bareServer, ["0"])
  const http = `127.0.0.1:${yield* Child.firstLine(bareServer, ["free"])}`
  const options = { instance: "a", lmdb: target, bucket, directory, poll: "100ms", http }
  const daemon = yield* Daemon.start(Bundle.command, options)
  yield* Effect.raceFirst(daemon.ready, daemon.ended)
  const urls = [`http://${http}/healthz`, `http://127.0.0.1:${port}/`]
  // The first requests are slower, because the code is compiled during them.
  yield* during(urls, Effect.sleep("2 seconds"))

  yield* LockHolder.hold(target, heldMillis)
  yield* fs.rename(`${directory}/half`, `${bucket}/${objectName}`)
  const held = yield* during(urls, Effect.sleep(heldMillis - 200))
  const merging = yield* during(urls, Effect.raceFirst(daemon.merged, daemon.ended))
  yield* Workspace.remove(target)
  const rows = { "while another process has the write lock for 3 s": held, "during the merge after that": merging }
  return Object.entries(rows).map(([title, [health, bare]]): Row => ({
    "a running daemon": plain(title),
    entries: plain(entries.toLocaleString("en")),
    requests: plain(String(health!.asked)),
    "longest wait for /healthz": atMost(health!.longestMillis, waitMax, milliseconds),
    "for an idle server beside it": plain(milliseconds(bare!.longestMillis))
  }))
}, Effect.scoped)
