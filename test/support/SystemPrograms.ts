/**
 * Programs of the system that are too large, or too closely tied to it, to be downloaded for a test. `.ci/run` installs
 * them if it can. If a program is missing, its tests are skipped with the reason, or fail with CI=true, as for servers
 * (RealServers.ts).
 */
import { NodeServices } from "@effect/platform-node"
import { Config, Effect, FileSystem } from "effect"
import type { Installed } from "./servers/RealServers.ts"

/**
 * Finds a program: the first of these names that a directory of PATH contains. `directory` in the result is its path.
 */
const find = Effect.fnUntraced(function* (names: ReadonlyArray<string>, debianPackage: string) {
  const fs = yield* FileSystem.FileSystem
  const directories = (yield* Config.String("PATH")).split(":")
  for (const path of directories.flatMap((directory) => names.map((name) => `${directory}/${name}`))) {
    const found: Installed = { _tag: "Installed", directory: path }
    if (yield* fs.exists(path)) return found
  }
  const missing: Installed = {
    _tag: "Missing",
    reason: `there is no ${names[0]}: install the package ${debianPackage}`,
    isFailure: (yield* Config.String("CI").pipe(Config.withDefault(""))) === "true"
  }
  return missing
})

/** Finds a program. To be awaited while test files are collected. */
export const installed = (names: ReadonlyArray<string>, debianPackage: string): Promise<Installed> =>
  Effect.runPromise(Effect.provide(find(names, debianPackage), NodeServices.layer))
