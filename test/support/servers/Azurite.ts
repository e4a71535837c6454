/**
 * Microsoft's emulator of Azure Blob Storage, in memory, on a free port of 127.0.0.1. It implements signatures, block
 * lists and paged listings.
 */
import { Context, Duration, Effect, FileSystem, Layer, Redacted, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { install } from "./RealServers.ts"

/** Version 3.37 cannot be installed. */
export const installed = () => install({ name: "azurite", npm: "azurite@3.35.0" })

export class Azurite extends Context.Service<
  Azurite,
  {
    /** URL with the account as its path. */
    readonly endpoint_url: string
    readonly account_name: string
    readonly account_key: Redacted.Redacted<string>
  }
>()("lightningstream/test/Azurite") {}

class AzuriteDidNotStart extends Schema.TaggedError<AzuriteDidNotStart>()("AzuriteDidNotStart", {
  output: Schema.String
}) {
  override get message(): string {
    return `Azurite did not start: ${this.output}`
  }
}

const account = "tester"
export const accountKey = Buffer.from("the account's key of the tests").toString("base64")

/**
 * Starts the server, which runs until the scope closes. `directory` is where it was installed. It supports fewer
 * versions of the API than the SDK.
 */
const start = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const state = yield* fs.makeTempDirectoryScoped({ prefix: "azurite-" })
  const args = [
    `${directory}/node_modules/azurite/dist/src/blob/main.js`,
    "--blobPort",
    "0",
    "--inMemoryPersistence",
    "--skipApiVersionCheck",
    "--silent",
    "--disableTelemetry"
  ]
  const handle = yield* ChildProcess.make(process.execPath, args, {
    cwd: state,
    stdin: "ignore",
    killSignal: "SIGKILL",
    env: { AZURITE_ACCOUNTS: `${account}:${accountKey}`, NODE_OPTIONS: "" },
    extendEnv: true
  })
  const seen: Array<string> = []
  yield* Stream.splitLines(Stream.decodeText(handle.all)).pipe(
    Stream.tap((line) => Effect.sync(() => seen.push(line))),
    Stream.takeUntil((line) => line.includes("successfully listens on")),
    Stream.runDrain,
    Effect.timeoutOrElse({ duration: Duration.seconds(60), orElse: () => Effect.void })
  )
  const url = /successfully listens on (http:\/\/\S+)/.exec(seen.at(-1) ?? "")?.[1]
  if (url === undefined) return yield* new AzuriteDidNotStart({ output: seen.join("\n") })
  return Azurite.of({
    endpoint_url: `${url}/${account}`,
    account_name: account,
    account_key: Redacted.make(accountKey)
  })
})

export const layer = (directory: string) => Layer.effect(Azurite, start(directory))
