/** Prometheus, and promtool, which checks configurations and rules. */
import { Effect } from "effect"
import { ChildProcess } from "effect/process"
import { execute } from "../Command.ts"
import { eventually } from "../Eventually.ts"
import { install, pathOf } from "./RealServers.ts"
import { freePort } from "./Swift.ts"

export const installed = () => install({ name: "prometheus", suite: "bookworm", packages: ["prometheus"] })

const command = (installedIn: string, program: string, args: ReadonlyArray<string>) =>
  ["sh", pathOf("deb-run.sh"), installedIn, program, ...args] as const

/** Runs promtool. `installedIn` is the directory of the packages. */
export const promtool = (installedIn: string, ...args: ReadonlyArray<string>) =>
  execute(command(installedIn, "promtool", args))

/** Starts Prometheus, which runs until the scope closes and has its data in the directory. Returns its address. */
export const start = Effect.fnUntraced(function* (installedIn: string, directory: string, args: ReadonlyArray<string>) {
  const address = `127.0.0.1:${yield* freePort}`
  const own = [`--web.listen-address=${address}`, `--storage.tsdb.path=${directory}/data`]
  const [program, ...line] = command(installedIn, "prometheus", [...args, ...own])
  yield* ChildProcess.make(program, line, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    killSignal: "SIGKILL"
  })
  yield* eventually(
    "Prometheus is ready",
    Effect.tryPromise(() => fetch(`http://${address}/-/ready`)).pipe(
      Effect.map(({ ok }) => (ok ? true : undefined)),
      Effect.orElseSucceed(() => undefined)
    ),
    () => ""
  )
  return address
})
