/**
 * versitygw, an S3 server in Go that stores objects in a directory and behaves differently from Swift. It listens on a
 * free port of 127.0.0.1, and implements signatures, multipart uploads and paged listings.
 */
import { Effect, Exit, FileSystem, Layer, Redacted, Schedule, Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import * as net from "node:net"
import { ProcessFailed } from "../ProcessFailed.ts"
import { install } from "./RealServers.ts"
import { freePort, Swift } from "./Swift.ts"

export const installed = () => install({ name: "versitygw", go: "github.com/versity/versitygw/cmd/versitygw@v1.8.0" })

const [access, secret] = ["AKIAVERSITYGWTEST", "SECRETKEYTEST"]

const connects = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("connect", () => resume(Effect.succeed(true))).on("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

/**
 * Starts the server, which runs until the scope closes. `state` is the directory of the stored objects. `options` are
 * those of its command line.
 */
const launch = Effect.fnUntraced(function* (
  directory: string,
  state: string,
  port: number,
  ...options: ReadonlyArray<string>
) {
  const fs = yield* FileSystem.FileSystem
  for (const name of ["data", "meta"]) yield* fs.makeDirectory(`${state}/${name}`, { recursive: true })
  const args = ["--access", access, "--secret", secret, "--port", `127.0.0.1:${port}`, "--keep-alive", "--quiet"]
  const backend = ["posix", "--sidecar", `${state}/meta`, `${state}/data`]
  const handle = yield* ChildProcess.make(`${directory}/bin/versitygw`, [...args, ...options, ...backend], {
    stdin: "ignore",
    killSignal: "SIGKILL"
  })
  let output = ""
  yield* Effect.forkScoped(
    Stream.runForEach(Stream.decodeText(handle.all), (text) => Effect.sync(() => void (output += text)))
  )
  const isThere = yield* connects(port).pipe(
    Effect.repeat({ until: (there) => there, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({ duration: "60 seconds", orElse: () => Effect.succeed(false) })
  )
  if (!isThere) return yield* new ProcessFailed({ what: "versitygw did not start", output })
})

const serverAt = (port: number) =>
  Swift.of({
    endpoint_url: `http://127.0.0.1:${port}`,
    port,
    access_key: Redacted.make(access),
    secret_key: Redacted.make(secret)
  })

const stateFolder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "versitygw-" }))

const startOnce = Effect.fnUntraced(function* (directory: string, hasUsers: boolean) {
  const [port, state] = [yield* freePort, yield* stateFolder]
  yield* launch(directory, state, port, ...(hasUsers ? ["--iam-dir", state] : []))
  return serverAt(port)
})

/** Has the same shape as Swift's, so that the same tests run over both. */
export const layer = (directory: string) =>
  Layer.effect(Swift, Effect.retry(startOnce(directory, false), Schedule.recurs(2)))

/** A server on which `createUser` works. */
export const layerWithUsers = (directory: string) =>
  Layer.effect(Swift, Effect.retry(startOnce(directory, true), Schedule.recurs(2)))

/** Creates a user who may do nothing before a policy of a bucket says so. Returns the keys. */
export const createUser = Effect.fnUntraced(function* (directory: string, { endpoint_url }: Swift["Service"]) {
  const user = { access_key: "AKIAUSERTEST", secret_key: "SECRETUSERTEST" }
  const root = ["--access", access, "--secret", secret, "--endpoint-url", endpoint_url]
  const args = ["create-user", "--access", user.access_key, "--secret", user.secret_key, "--role", "user"]
  const handle = yield* ChildProcess.make(`${directory}/bin/versitygw`, ["admin", ...root, ...args])
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  if ((yield* handle.exitCode) !== 0) return yield* new ProcessFailed({ what: "versitygw has no user", output })
  return user
}, Effect.scoped)

/** Creates a server, not yet running, that can be killed and restarted on the same port, with the stored objects. */
export const makeDurable = Effect.fnUntraced(function* (directory: string) {
  const [port, state, outer] = [yield* freePort, yield* stateFolder, yield* Scope.Scope]
  let running: Scope.Closeable | undefined
  return {
    swift: serverAt(port),
    start: Effect.gen(function* () {
      running = yield* Scope.fork(outer)
      yield* Scope.provide(launch(directory, state, port), running)
    }),
    kill: Effect.suspend(() => (running === undefined ? Effect.void : Scope.close(running, Exit.void)))
  }
})
