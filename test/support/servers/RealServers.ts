/**
 * The policy for tests that need real servers. The packages of the servers come from the machine's Debian mirror, from
 * npm's registry, or as Go modules. The first test file that needs one installs it in a cache outside of the work tree.
 * If that is impossible (no apt, no mirror, another platform), the tests are reported as skipped with the reason. With
 * CI=true they fail instead, so that a pipeline never passes without them.
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

const fetchArguments = (directory: string, wanted: Wanted, go: string): ReadonlyArray<string> => {
  if ("npm" in wanted) return ["npm-fetch.sh", directory, wanted.npm]
  if ("go" in wanted) return ["go-fetch.sh", go, directory, wanted.go]
  return ["deb-fetch.sh", wanted.suite, directory, ...wanted.packages]
}

/** Minor version of Go that the module of versitygw demands. That of Debian 12 is 19. */
const goMinorMin = 25

/** The Go of Debian's next release, for machines that have none, or an older one. */
const goPackages: Packages = { name: "go", suite: "forky", packages: ["golang-go"] }

/** Returns whether the machine has a Go that is new enough. */
const hasGo = Effect.gen(function* () {
  const env = { PATH: yield* setting("PATH"), HOME: yield* setting("HOME") }
  const handle = yield* ChildProcess.make("go", ["version"], { stdin: "ignore", env })
  const output = yield* Stream.mkString(Stream.decodeText(handle.stdout))
  return Number(/^go version go1\.(\d+)/.exec(output)?.[1] ?? 0) >= goMinorMin
}).pipe(
  Effect.orElseSucceed(() => false),
  Effect.scoped
)

/**
 * Runs a script. Returns undefined, or why it failed. `flock` holds the lock while the script runs, so that a killed
 * test run leaves none behind.
 */
const fetch = Effect.fnUntraced(function* (directory: string, wanted: Wanted, go: string) {
  const [script, ...args] = fetchArguments(directory, wanted, go)
  const handle = yield* ChildProcess.make("flock", [`${directory}.lock`, "sh", pathOf(script!), ...args])
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  const exitCode = yield* handle.exitCode
  return exitCode === 0 ? undefined : `${script} ended with ${exitCode}: ${output.trim().split("\n").at(-1) ?? ""}`
})

/** Installs a server. Returns undefined, or why it is not available. */
const ensure = Effect.fnUntraced(
  function* (directory: string, wanted: Wanted, go = "") {
    const fs = yield* FileSystem.FileSystem
    if ("packages" in wanted && (process.platform !== "linux" || process.arch !== "x64")) {
      return `the packages are for linux on x64, this is ${process.platform} on ${process.arch}`
    }
    if (yield* fs.exists(`${directory}/.complete`)) return undefined
    yield* fs.makeDirectory(yield* cacheFolder, { recursive: true })
    return yield* Effect.scoped(fetch(directory, wanted, go))
  },
  Effect.catchTag("PlatformError", (error) => Effect.succeed(error.message))
)

/** Installs a command of a Go module. Returns undefined, or why it is not available. */
const ensureBuilt = Effect.fnUntraced(function* (directory: string, wanted: GoCommand) {
  if (yield* hasGo) return yield* ensure(directory, wanted, "go")
  const go = `${yield* cacheFolder}/${goPackages.name}`
  const problem = yield* ensure(go, goPackages)
  if (problem === undefined) return yield* ensure(directory, wanted, `${go}/usr/bin/go`)
  return `there is no Go 1.${goMinorMin} or later: install the package golang-go of that version (${problem})`
})

export const find = Effect.fnUntraced(function* (wanted: Wanted) {
  const directory = `${yield* cacheFolder}/${wanted.name}`
  const reason = yield* "go" in wanted ? ensureBuilt(directory, wanted) : ensure(directory, wanted)
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
