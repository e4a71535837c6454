/** `drop-shadow` removes the shadow DBIs, in a separate thread (LmdbTaskThread). */
import { Effect } from "effect"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { load } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

export const dropShadow = defineCommand({
  name: "drop-shadow",
  summary: "Drop the _sync* DBIs of every configured database without confirmation",
  details: `
These DBIs are the shadow DBIs of schema_tracks_changes: false, with the times
of all entries and all deletions, and DBIs that release 0.2 has left behind.
The application's DBIs are not changed. Stop sync and receive on that LMDB
first, because a running daemon would treat every entry as new. The next start
in shadow mode is like a first start.

If an error occurs in one database, it is logged, the command continues with
the next database, and the exit code is 1. A missing file is an error, and is
not created. The bucket is not used.
`,
  examples: [
    {
      command: "lightningstream drop-shadow",
      description: "Drop the shadow DBIs of all databases in lightningstream.yaml"
    },
    { command: "lightningstream drop-shadow -c pdns.yaml", description: "Use another configuration file" }
  ],
  params: {},
  run: Effect.fnUntraced(function* (_, global) {
    const { Command, DatabaseOptions, LmdbTaskThread } = yield* load(() => ({
      Command: import("./cli/ConfiguredCommand.ts"),
      DatabaseOptions: import("../programs/DatabaseOptions.ts"),
      LmdbTaskThread: import("../layers/database/LmdbTaskThread.ts")
    }))
    return yield* Command.onceWith({ global, usesBucket: false }, ({ settings }) => {
      const targets = Object.keys(settings.lmdbs).map((name) => DatabaseOptions.taskTarget(settings, name))
      const task = { _tag: "DropShadow", targets } as const
      return Effect.map(LmdbTaskThread.run(workerEntry, { log: settings.log, instance: "", task }), ({ code }) => code)
    })
  })
})
