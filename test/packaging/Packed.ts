/** The tarball of `npm pack`, installed in an empty project on a machine without a compiler. */
import { NodeServices } from "@effect/platform-node"
import { Context, Effect, FileSystem, Layer } from "effect"
import * as Application from "../support/Application.ts"
import { type CommandOptions, execute } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { pathOf } from "../support/servers/RealServers.ts"

export const project = pathOf("../../..")

/** What has to work, with what it printed. */
export const succeed = (line: ReadonlyArray<string>, options: Pick<CommandOptions, "cwd" | "env" | "patience"> = {}) =>
  Effect.flatMap(execute(line, { patience: "5 minutes", ...options }), (result) =>
    result.code === 0 ? Effect.succeed(result) : Effect.die(new Error(`${line.join(" ")}: ${result.out}${result.err}`))
  )

export const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "packaging-" })
)

/** The path of a program, without links. */
const pathOfProgram = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.realPath((yield* succeed(["which", name])).out.trim())
})

/**
 * Packs the package, and returns the tarball. One test file at a time, because npm writes the compiled addons and the
 * bill of materials into the project first.
 */
export const pack = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const packed = yield* temporary
  const lock = `${project}/node_modules/.pack.lock`
  yield* succeed(["flock", lock, "npm", "pack", "--pack-destination", packed], { cwd: project })
  return `${packed}/${(yield* fs.readDirectory(packed))[0]!}`
})

/** A directory with the programs that an installation needs: as PATH, it is a machine with no compiler, make or Python. */
export const withoutCompiler = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporary
  for (const name of ["npm", "npx", "sh"]) yield* fs.symlink(yield* pathOfProgram(name), `${directory}/${name}`)
  yield* fs.symlink(process.execPath, `${directory}/node`)
  return directory
})

/** The tarball, and an empty project in which it was installed. */
export class Installed extends Context.Service<
  Installed,
  {
    readonly tarball: string
    readonly directory: string
    readonly output: string
    /** That of the installation, in which there is no compiler. */
    readonly PATH: string
  }
>()("test/Installed") {}

export const layerInstalled = Layer.effect(
  Installed,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const tarball = yield* pack
    const directory = yield* temporary
    yield* fs.writeFileString(`${directory}/package.json`, JSON.stringify({ name: "empty", private: true }))
    const PATH = yield* withoutCompiler
    const install = ["npm", "install", "--foreground-scripts=false", "--no-fund", "--no-audit", tarball]
    const { err, out } = yield* succeed(install, { cwd: directory, env: { PATH } })
    return { tarball, directory, output: out + err, PATH }
  })
).pipe(Layer.provideMerge(NodeServices.layer))

/**
 * Two instances over one bucket, of the LMDB of an application that has one entry. `settings`: of the configuration,
 * besides.
 */
export const twoInstances = Effect.fnUntraced(function* (settings: Readonly<Record<string, unknown>> = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporary
  const application = yield* Application.open(`${directory}/a.mdb`)
  yield* application.put("key", "value", 1n)
  const config = (instance: string) => ({
    ...settings,
    instance,
    lmdbs: { main: Daemon.nativeFile(`${directory}/${instance}.mdb`, { create: true, map_size: "1MB" }) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  })
  for (const instance of ["a", "b"]) {
    yield* fs.writeFileString(`${directory}/${instance}.yaml`, JSON.stringify(config(instance)))
  }
  return directory
})

/** Both sync once with this command: what is in the LMDB of the second then. */
export const syncBoth = Effect.fnUntraced(function* (
  command: ReadonlyArray<string>,
  directory: string,
  options: Pick<CommandOptions, "cwd" | "env"> = {}
) {
  for (const instance of ["a", "b"]) {
    yield* succeed([...command, "-c", `${directory}/${instance}.yaml`, "sync", "--only-once"], options)
  }
  return yield* (yield* Application.open(`${directory}/b.mdb`)).records
})
