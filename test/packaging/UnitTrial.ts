/**
 * The systemd unit of the Debian package, looked at by systemd-analyze, and run by a systemd that is booted in
 * namespaces of its own (systemd-boot.sh), on a machine that has the application.
 */
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import { execute } from "../support/Command.ts"
import { tried } from "../support/Confinement.ts"
import { pathOf } from "../support/servers/RealServers.ts"
import * as SystemPrograms from "../support/SystemPrograms.ts"
import { succeed, temporary } from "./Packed.ts"

/** systemd-analyze, or why there is none. */
export const analyzer = await SystemPrograms.installed(["systemd-analyze"], "systemd")

const namespaces = ["unshare", "--mount", "--cgroup", "--pid", "--fork", "mount", "-t", "cgroup2", "cgroup2", "/mnt"]

/** Whether systemd can be booted here. */
export const bootable =
  analyzer._tag === "Missing" ? analyzer : await tried("this user may not boot systemd in a namespace", namespaces)

/** The unit as the package has it, but for the place of the command, which is not installed here. */
export const unitIn = Effect.fnUntraced(function* (root: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(`${root}/usr/lib/systemd/system/lightningstream.service`)
  const unit = `${yield* temporary}/lightningstream.service`
  yield* fs.writeFileString(unit, text.replace("=/usr/bin/", `=${root}/usr/bin/`))
  return unit
})

/** Of the application, on a machine that has it. */
export const uid = 12_345

/** What the machine has besides the package: the application's user, its LMDB, and the configuration. */
const putMachine = Effect.fnUntraced(function* (root: string) {
  const fs = yield* FileSystem.FileSystem
  const home = `${root}/var/lib/powerdns`
  for (const path of [`${home}/bucket`, `${root}/etc/lightningstream`])
    yield* fs.makeDirectory(path, { recursive: true })
  const passwd = yield* fs.readFileString("/etc/passwd")
  yield* fs.writeFileString(`${root}/etc/passwd`, `${passwd}pdns:x:${uid}:${uid}::/var/lib/powerdns:/bin/sh\n`)
  yield* fs.writeFileString(`${root}/etc/group`, `${yield* fs.readFileString("/etc/group")}pdns:x:${uid}:\n`)
  yield* Application.open(`${home}/app.mdb`).pipe(
    Effect.andThen((application) => application.put("key", "value", 1n)),
    Effect.scoped
  )
  const configuration = [
    "instance: ns1",
    "lmdbs: { main: { path: /var/lib/powerdns/app.mdb, schema_tracks_changes: true, options: { no_subdir: true } } }",
    // So that the cache directory is used.
    "spool_memory: 0",
    "storage: { type: fs, options: { root_path: /var/lib/powerdns/bucket } }",
    ""
  ]
  yield* fs.writeFileString(`${root}/etc/lightningstream/lightningstream.yaml`, configuration.join("\n"))
  yield* succeed(["chown", "-R", `${uid}:${uid}`, home, `${root}/etc/lightningstream`])
})

/** Runs unit-probe.sh beside the unit of the unpacked package. Returns what it has seen, and the output of systemd. */
export const run = Effect.fnUntraced(function* (unpacked: string) {
  const fs = yield* FileSystem.FileSystem
  const work = yield* temporary
  yield* putMachine(`${work}/upper`)
  const line = [
    "sh",
    pathOf("../../packaging/systemd-boot.sh"),
    work,
    unpacked,
    pathOf("../../packaging/unit-probe.sh")
  ]
  const { err, out } = yield* execute(line, { patience: "4 minutes" })
  const seen = yield* fs.readFileString(`${work}/upper/output`).pipe(Effect.orElseSucceed(() => ""))
  return { seen: seen.trim().split("\n"), output: out + err }
})
