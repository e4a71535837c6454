/**
 * The policy for tests that need real servers. The packages of the servers come from the machine's Debian mirror, from
 * npm's registry, or as Go modules. The first test file that needs one installs it in a cache outside of the work tree.
 * If that is impossible (no apt, no mirror, another platform), the tests are reported as skipped with the reason. With
 * CI=true they fail instead, so that a pipeline never passes without them, except if Go is not installed.
 */
import { NodeServices } from "@effect/platform-node"
import { describe, it } from "@effect/vitest"
import { Config, Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

export type Installed =
  | { readonly _tag: "Installed"; readonly directory: string }
  | { readonly _tag: "Missing"; readonly reason: string; readonly isFailure: boolean }

export interface Packages {
  /** Name of the directory in the cache. */
  readonly name: string
  readonly suite: string
  readonly packages: ReadonlyArray<string>
}

export interface NpmPackage {
  /** Name of the directory in the cache. */
  readonly name: string
  /** Package with its version. */
  readonly npm: string
}

export interface GoCommand {
  /** Name of the directory in the cache. */
  readonly name: string
  /** Package of the command, with its version. */
  readonly go: string
}

type Wanted = Packages | NpmPackage | GoCommand

/** Returns the path of a script or program next to this module. */
export const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const setting = (name: string) => Config.String(name).pipe(Config.withDefault(""))

const cacheFolder = Effect.gen(function* () {
  const cache = (yield* setting("XDG_CACHE_HOME")) || `${yield* setting("HOME")}/.cache`
  return `${cache}/lightningstream-test`
})

const fetchArguments = (directory: string, wanted: Wanted): ReadonlyArray<string> => {
  if ("npm" in wanted) return ["npm-fetch.sh", directory, wanted.npm]
  if ("go" in wanted) return ["go-fetch.sh", directory, wanted.go]
  return ["deb-fetch.sh", wanted.suite, directory, ...wanted.packages]
}

const hasGo = Effect.gen(function* () {
  const env = { PATH: yield* setting("PATH"), HOME: yield* setting("HOME") }
  const { exitCode } = yield* ChildProcess.make("go", ["version"], { stdin: "ignore", env })
  return Number(yield* exitCode) === 0
}).pipe(
  Effect.orElseSucceed(() => false),
  Effect.scoped
)

/**
 * Runs a script. Returns undefined, or why it failed. `flock` holds the lock while the script runs, so that a killed
 * test run leaves none behind.
 */
const fetch = Effect.fnUntraced(function* (directory: string, wanted: Wanted) {
  const [script, ...args] = fetchArguments(directory, wanted)
  const handle = yield* ChildProcess.make("flock", [`${directory}.lock`, "sh", pathOf(script!), ...args])
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  const exitCode = yield* handle.exitCode
  return exitCode === 0 ? undefined : `${script} ended with ${exitCode}: ${output.trim().split("\n").at(-1) ?? ""}`
})

/** Installs a server. Returns undefined, or why it is not available. */
const ensure = Effect.fnUntraced(
  function* (directory: string, wanted: Wanted) {
    const fs = yield* FileSystem.FileSystem
    if ("packages" in wanted && (process.platform !== "linux" || process.arch !== "x64")) {
      return `the packages are for linux on x64, this is ${process.platform} on ${process.arch}`
    }
    if (yield* fs.exists(`${directory}/.complete`)) return undefined
    yield* fs.makeDirectory(yield* cacheFolder, { recursive: true })
    return yield* Effect.scoped(fetch(directory, wanted))
  },
  Effect.catchTag("PlatformError", (error) => Effect.succeed(error.message))
)

export const find = Effect.fnUntraced(function* (wanted: Wanted) {
  const directory = `${yield* cacheFolder}/${wanted.name}`
  if ("go" in wanted && !(yield* hasGo)) {
    const missing: Installed = { _tag: "Missing", reason: "Go is not installed", isFailure: false }
    return missing
  }
  const reason = yield* ensure(directory, wanted)
  const installed: Installed =
    reason === undefined
      ? { _tag: "Installed", directory }
      : { _tag: "Missing", reason, isFailure: (yield* setting("CI")) === "true" }
  return installed
})

/** Installs a server, if necessary. To be awaited while test files are collected. */
export const install = (wanted: Wanted): Promise<Installed> =>
  Effect.runPromise(Effect.provide(find(wanted), NodeServices.layer))

/** `describe` for tests that need what was installed in the directory. */
export const describeWith = (title: string, installed: Installed, tests: (directory: string) => void): void => {
  if (installed._tag === "Installed") return void describe(title, () => tests(installed.directory))
  if (!installed.isFailure) {
    // The usual reporters count skipped tests, but do not name them.
    process.stderr.write(`skipped: ${title}: ${installed.reason}\n`)
    return void describe.skip(title, () => tests(""))
  }
  describe(title, () => {
    it("has the server that it needs (CI=true)", () => {
      throw new Error(installed.reason)
    })
  })
}
