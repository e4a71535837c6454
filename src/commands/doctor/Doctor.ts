/** `doctor` looks for problems on this server's side of the sync. */
import { Effect, type Stdio, Stream } from "effect"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, toggle } from "../cli/Flags.ts"
import { load, type Modules } from "../cli/Load.ts"
import type { Finding } from "../../programs/doctor/Finding.ts"
import type { OutputFailed } from "../../layers/process/StandardOutput.ts"
import type { Loaded } from "../../layers/settings/SettingsYaml.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  ConfigurationCheck: import("../../programs/doctor/ConfigurationCheck.ts"),
  DatabaseChecks: import("./DatabaseChecks.ts"),
  Finding: import("../../programs/doctor/Finding.ts"),
  MachineChecks: import("./MachineChecks.ts"),
  SnapshotName: import("../../domain/snapshot/SnapshotName.ts"),
  StandardOutput: import("../../layers/process/StandardOutput.ts"),
  StorageChecks: import("./StorageChecks.ts")
})

type Parts = Modules<ReturnType<typeof parts>>

type Group = ReadonlyArray<Finding>

type Show = (findings: Group) => Effect.Effect<void, OutputFailed, Stdio.Stdio>

/** Runs the checks that need the bucket, one group after the other. */
const bucketChecks = Effect.fnUntraced(function* (
  { Finding, MachineChecks, SnapshotName, StorageChecks }: Parts,
  { settings }: Loaded,
  show: Show
) {
  yield* show(yield* StorageChecks.permissions(settings, SnapshotName.instanceText))
  yield* show(yield* MachineChecks.spool(settings, yield* StorageChecks.largestObject))
  for (const database of Object.keys(settings.lmdbs).toSorted())
    yield* show(Finding.of(database, yield* StorageChecks.snapshots(database)))
})

/** Shows each group of findings as it is found. */
const checkAll = Effect.fnUntraced(function* (parts: Parts, loaded: Loaded, file: string, show: Show) {
  const { ConfigurationCheck, DatabaseChecks, Finding, MachineChecks, StorageChecks } = parts
  const { settings, warnings } = loaded
  yield* show(ConfigurationCheck.findings(file, warnings))
  yield* show(yield* MachineChecks.build)
  yield* show(yield* MachineChecks.memory(settings))
  const endpoint = yield* StorageChecks.endpoint(settings)
  if (endpoint !== undefined) yield* show(endpoint.findings)
  if (endpoint?.isReached === false) yield* show(yield* MachineChecks.spool(settings, undefined))
  else
    yield* bucketChecks(parts, loaded, show).pipe(
      Effect.provide(StorageChecks.layer),
      Effect.catchTag("StorageError", ({ message }) => show(StorageChecks.cannotOpen(message)))
    )
  for (const database of Object.keys(settings.lmdbs).toSorted())
    yield* show(Finding.of(database, yield* DatabaseChecks.findings(settings, database)))
})

export const doctor = defineCommand({
  name: "doctor",
  summary: "Find problems that keep this server from syncing, and print what to do",
  details: `
The command checks the configuration; the build of the package lmdb; the
memory limit (cgroup) against the settings; the endpoint with its certificates
and its clock; the permissions of the credentials in the bucket; the spool
directory; the integrity of the newest snapshots; and for each LMDB its format
and path, the processes that have it open or are reading, whether these are
alive, its map size, flags and headers.

Each finding is one line with its severity (ok, warning or error), the check,
what was found, why it matters and what to do. The exit code is 1 if there are
errors. Secrets are never printed.

    error    permissions: put is refused: …; without it, sync cannot send, …

An object named doctor-INSTANCE-… is stored below the prefix, loaded and
deleted again. No update marker is written. The LMDB is not changed, except
that LMDB frees the slots of dead readers whenever it is opened. Snapshots are
read to their end. If the LMDB's write lock is not free within 10 s, that is
reported as an error. The command can run while the daemon is running.
`,
  examples: [
    { command: "lightningstream doctor", description: "Run all checks" },
    {
      command: "lightningstream doctor --json | grep -v '\"ok\"'",
      description: "Print only warnings and errors, for a script"
    }
  ],
  params: { json: toggle("json").pipe(about("Print JSON, one object per line")) },
  run: Effect.fnUntraced(function* ({ json }, global) {
    const loaded = yield* load(parts)
    const { Command, Finding, StandardOutput } = loaded
    return yield* Command.onceWith({ global }, (configuration) =>
      Effect.gen(function* () {
        let code = 0
        const show = (findings: Group) => {
          if (Finding.hasErrors(findings)) code = 1
          return StandardOutput.write(Stream.make(findings.map(json ? Finding.json : Finding.text).join("")))
        }
        yield* checkAll(loaded, configuration, global.config, show)
        return code
      })
    )
  })
})
