/** `drop-shadow` removes the shadow DBIs. LMDB runs in a thread of its own: see LmdbTaskThread. */
import { Effect } from "effect"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { load } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

export const dropShadow = defineCommand({
  name: "drop-shadow",
  summary: "Drop the _sync* DBIs of every configured database, without asking",
  details: `
These are the shadow DBIs of schema_tracks_changes: false with the times of
all entries and all deletions, and what release 0.2 has left. What the
application sees stays. Stop sync and receive on that LMDB before: one that
runs takes everything for new. At the next start in shadow mode everything
begins as at the first one.

What goes wrong with one database is logged, the next one follows, and the
exit code is 1 in the end. A file that is not there is an error, and is not
made. No bucket is used.
`,
  examples: [
    {
      command: "lightningstream drop-shadow",
      description: "Drop the shadow DBIs of all databases in lightningstream.yaml"
    },
    { command: "lightningstream drop-shadow -c pdns.yaml", description: "Name another configuration" }
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
