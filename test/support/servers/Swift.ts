/**
 * OpenStack Swift with its S3 API, in one process on a free port of 127.0.0.1. It implements signatures, multipart
 * uploads and paged listings.
 */
import { Context, Duration, Effect, Exit, FileSystem, Layer, Redacted, Schedule, Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import * as net from "node:net"
import { ProcessFailed } from "../ProcessFailed.ts"
import { install, pathOf } from "./RealServers.ts"

export const installed = () =>
  install({
    name: "swift",
    suite: "trixie",
    packages: ["python3.13", "swift-proxy", "swift-account", "swift-container", "swift-object"]
  })

export class Swift extends Context.Service<
  Swift,
  {
    readonly endpoint_url: string
    readonly port: number
    readonly access_key: Redacted.Redacted<string>
    readonly secret_key: Redacted.Redacted<string>
  }
>()("lightningstream/test/Swift") {}

/** Returns a free port. Another program may take it before it is used. */
export const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts the server, which runs until the scope closes. */
const launch = Effect.fnUntraced(function* (
  directory: string,
  state: string,
  port: number,
  ...options: ReadonlyArray<string>
) {
  const args = [pathOf("deb-run.sh"), directory, "python3.13", pathOf("swift-s3.py"), state, String(port), ...options]
  const handle = yield* ChildProcess.make("sh", args, { stdin: "ignore", killSignal: "SIGKILL" })
  const lines = Stream.splitLines(Stream.decodeText(handle.all))
  const seen: Array<string> = []
  yield* lines.pipe(
    Stream.tap((line) => Effect.sync(() => seen.push(line))),
    Stream.takeUntil((line) => line.startsWith("listening")),
    Stream.runDrain,
    Effect.timeoutOrElse({ duration: Duration.seconds(60), orElse: () => Effect.void })
  )
  if (seen.at(-1) !== `listening ${port}`)
    return yield* new ProcessFailed({ what: "Swift did not start", output: seen.join("\n") })
})

const stateFolder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "swift-" }))

const swiftAt = (port: number) =>
  Swift.of({
    endpoint_url: `http://127.0.0.1:${port}`,
    port,
    access_key: Redacted.make("test:tester"),
    secret_key: Redacted.make("SECRETKEYTEST")
  })

const startOnce = Effect.fnUntraced(function* (directory: string) {
  const port = yield* freePort
  yield* launch(directory, yield* stateFolder, port)
  return swiftAt(port)
})

/** Starts the server, which runs until the scope closes. `directory` is where it was installed. */
export const start = (directory: string) => Effect.retry(startOnce(directory), Schedule.recurs(2))

export const layer = (directory: string) => Layer.effect(Swift, start(directory))

/** Creates a server, not yet running, that can be killed and restarted on the same port, with the stored objects. */
export const makeDurable = Effect.fnUntraced(function* (directory: string) {
  const [port, state, outer] = [yield* freePort, yield* stateFolder, yield* Scope.Scope]
  let running: Scope.Closeable | undefined
  return {
    swift: swiftAt(port),
    start: Effect.gen(function* () {
      running = yield* Scope.fork(outer)
      yield* Scope.provide(launch(directory, state, port, "disk"), running)
    }),
    kill: Effect.suspend(() => (running === undefined ? Effect.void : Scope.close(running, Exit.void)))
  }
})
