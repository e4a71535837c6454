/**
 * Starts commands with fewer privileges or resources than the tests have, for example without the capabilities of root,
 * or with a directory on a full disk. If the machine does not allow that, the tests are skipped with the reason, as for
 * servers (RealServers.ts).
 */
import { NodeServices } from "@effect/platform-node"
import { Config, Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import type { Installed } from "./servers/RealServers.ts"

const isRoot = process.getuid?.() === 0

/** Tests whether a command works on this machine. */
export const tried = (reason: string, [program, ...args]: ReadonlyArray<string>): Promise<Installed> =>
  Effect.gen(function* () {
    const isFailure = (yield* Config.String("CI").pipe(Config.withDefault(""))) === "true"
    const works = yield* ChildProcess.make(program!, args, { stdin: "ignore" }).pipe(
      Effect.flatMap(({ exitCode }) => exitCode),
      Effect.map((code) => Number(code) === 0),
      Effect.orElseSucceed(() => false),
      Effect.scoped
    )
    return works ? ({ _tag: "Installed", directory: "" } as const) : ({ _tag: "Missing", reason, isFailure } as const)
  }).pipe(Effect.provide(NodeServices.layer), Effect.runPromise)

/**
 * Prefix of a command. If the tests run as root, the command runs as root without capabilities: permissions apply to
 * it, but it can still read everything that root owns.
 */
export const asOrdinaryUser: ReadonlyArray<string> = isRoot ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] : []

export const ordinaryUser = () =>
  tried("the tests run as root, and setpriv does not work here", [...asOrdinaryUser, "true"])

const nobody = 65_534

/** Makes a file inaccessible: as root by changing its owner, otherwise by removing its permissions. */
export const takeAway = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  if (isRoot) yield* fs.chown(file, nobody, nobody)
  yield* fs.chmod(file, isRoot ? 0o600 : 0)
})

const unshare = ["unshare", ...(isRoot ? [] : ["--map-root-user"]), "--mount", "sh", "-c"]

const diskKibibytes = 1024
/** Free space on the full disk in bytes. */
export const leftBytes = 32 * 1024

const mountAndFill =
  `mount -t tmpfs -o size=${diskKibibytes}k tmpfs "$0" && ` +
  `head -c ${diskKibibytes * 1024 - leftBytes} /dev/zero > "$0/filler" && exec "$@"`

/**
 * Prefix of a command for which the directory is on a full disk. The disk is mounted in a namespace that ends with the
 * command.
 */
export const onFullDisk = (directory: string): ReadonlyArray<string> => [...unshare, mountAndFill, directory]

export const fullDisk = () =>
  tried("this user may not mount anything, not even in a namespace", [...unshare, mountAndFill, "/mnt", "true"])

/** Removes the file that fills the directory, as seen by the process with this id. */
export const makeRoom = Effect.fnUntraced(function* (pid: number, directory: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.remove(`/proc/${pid}/root${directory}/filler`)
})

const mountFile = `mount --bind "$0" "$1" && shift && exec "$@"`

/** Prefix of a command for which the file is mounted over another one. */
export const onMountedFile = (file: string, over: string): ReadonlyArray<string> => [...unshare, mountFile, file, over]

export const mountedFile = () =>
  tried("this user may not mount anything, not even in a namespace", [
    ...unshare,
    mountFile,
    "/etc/passwd",
    "/etc/group",
    "true"
  ])

/** Prefix of a command that is process 1 of a PID namespace, as in a container. */
export const asFirstProcess: ReadonlyArray<string> = [
  "unshare",
  ...(isRoot ? [] : ["--map-root-user"]),
  "--pid",
  "--fork",
  "--mount-proc",
  "--kill-child"
]

export const firstProcess = () =>
  tried("this user may not make a namespace of process ids", [...asFirstProcess, "true"])

/** Returns the id of the only child of a process, such as of `asFirstProcess`, as seen by this process. */
export const childOf = Effect.fnUntraced(function* (pid: number) {
  const fs = yield* FileSystem.FileSystem
  return Number.parseInt(yield* fs.readFileString(`/proc/${pid}/task/${pid}/children`), 10)
})

/**
 * Prefix of a command whose user has no home directory, neither in the environment nor in passwd, but may read what
 * root may read.
 */
export const withoutHome: ReadonlyArray<string> = [
  "setpriv",
  "--reuid=65432",
  "--clear-groups",
  "--inh-caps=+dac_override,+dac_read_search",
  "--ambient-caps=+dac_override,+dac_read_search",
  "env",
  "--unset=HOME"
]

export const canBeWithoutHome = () => tried("only root may start a process of another user", [...withoutHome, "true"])
