/**
 * Runs the steps of the Dockerfile without Docker, in scratch root file systems of a mount namespace of its own.
 *
 * The image that brings Node and npm is this machine's own root, under an overlay: what a step writes stays out of it.
 * The slim one is made of Debian packages alone, those that every Debian has and those that the Dockerfile installs: so
 * what the Dockerfile forgets is not there. These are unpacked, not installed by apt.
 */
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"
import { lastOf, packagesOf, type Stage, type Step } from "./Dockerfile.ts"

/** What every Debian has, and our steps use. */
export const essential = ["base-files", "bash", "coreutils", "dash", "libc-bin"]

/** Quotes a word for the shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

export interface Roots {
  /** Directory in which the root of each stage is made, by its name. */
  readonly directory: string
  /** Unpacked Debian packages. */
  readonly slim: string
  /** What `docker build` is given. */
  readonly context: string
}

const base = ({ from, name }: Stage, { directory, slim }: Roots): string => {
  const root = `${directory}/${name}`
  if (from.startsWith("debian:"))
    return `cp -a ${slim} ${root}; mkdir -p ${root}/proc ${root}/dev ${root}/tmp ${root}/var/tmp`
  return [
    `mkdir ${root} ${root}.upper ${root}.work`,
    `mount -t overlay -o lowerdir=/,upperdir=${root}.upper,workdir=${root}.work overlay ${root}`,
    `mount --rbind /dev ${root}/dev`,
    `mount --bind /proc ${root}/proc`,
    `rm -f ${root}/usr/local/bin/node && cp ${process.execPath} ${root}/usr/local/bin/node`
  ].join("\n")
}

const command = (stage: Stage, step: Step, directory: string, { context, directory: roots }: Roots): string => {
  const root = `${roots}/${stage.name}`
  switch (step._tag) {
    case "Run":
      // Those of the slim one were unpacked before.
      return stage.from.startsWith("debian:") && packagesOf(step) !== undefined
        ? ":"
        : `chroot ${root} /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root sh -ec ${quoted(`cd ${directory}; ${step.command}`)}`
    case "Copy":
      return `mkdir -p ${root}$(dirname ${step.to}); cp -a ${step.stage === undefined ? context : `${roots}/${step.stage}`}/${step.from.replace(/^\//, "")} ${root}${step.to}`
    case "Workdir":
      return `mkdir -p ${root}${step.path}`
    case "Metadata":
      return ":"
  }
}

/** As a script of the shell. */
const script = (stages: ReadonlyArray<Stage>, roots: Roots): string =>
  stages
    .flatMap((stage) => {
      let directory = "/"
      return [
        base(stage, roots),
        ...stage.steps.map((step) => {
          if (step._tag === "Workdir") directory = step.path
          return command(stage, step, directory, roots)
        })
      ]
    })
    .join("\n")

const namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]

/** Makes the roots of all stages. What was mounted is gone afterwards. */
export const build = (stages: ReadonlyArray<Stage>, roots: Roots) =>
  execute([...namespace, "sh", "-exc", script(stages, roots)], { patience: "5 minutes" })

/** The slim packages for the last stage. */
export const packages = (stages: ReadonlyArray<Stage>): ReadonlyArray<string> => [
  ...essential,
  ...stages.at(-1)!.steps.flatMap((step) => packagesOf(step) ?? [])
]

/**
 * A command line that is process 1 of the container, as any user, with a read-only root. `mounts`: directories outside,
 * by their path inside.
 */
export const container = (
  root: string,
  user: string,
  mounts: Readonly<Record<string, string>>
): ReadonlyArray<string> => [
  ...namespace,
  "sh",
  "-ec",
  [
    `mount --bind ${root} ${root}`,
    ...Object.entries(mounts).map(
      ([inside, outside]) => `mkdir -p ${root}${inside}; mount --bind ${outside} ${root}${inside}`
    ),
    `mount -o remount,bind,ro ${root}`,
    `mount -t proc proc ${root}/proc`,
    `mount -t tmpfs tmpfs ${root}/dev && mknod -m 666 ${root}/dev/null c 1 3 && mknod -m 666 ${root}/dev/urandom c 1 9`,
    `exec chroot --userspec=${user} ${root} env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"`
  ].join("\n"),
  "sh"
]

export const entryPoint = (stage: Stage): ReadonlyArray<string> => JSON.parse(lastOf(stage, "ENTRYPOINT"))

export const dockerfile = pathOf("../../../packaging/container/Dockerfile")
