/** `snapshots list` lists the objects of the bucket. */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"

export const snapshotsList = defineCommand({
  name: "list",
  summary: "List the objects in the bucket",
  details: `
Prints one name per line, in byte order. All objects below the global prefix
are listed, whatever database or program they belong to, except for the update
marker. The bucket is only read.

A delta (.pbd) contains the changes since the time that follows F in its name.
With --long, that time is printed as "delta from". With --json, each object
has its name and size. Snapshots also have database, instance, kind (snapshot
or delta) and timestampNano, and deltas have fromNano.
`,
  examples: [
    {
      command: "lightningstream snapshots list --prefix main__",
      description: "List the snapshots of the database main"
    },
    { command: "lightningstream snapshots list -lt | tail -5", description: "Show the five newest, with their sizes" }
  ],
  params: {
    prefix: text("prefix", "PREFIX").pipe(
      Flag.withAlias("p"),
      about("List only names that begin with this prefix"),
      Flag.withDefault("")
    ),
    long: toggle("long").pipe(
      Flag.withAlias("l"),
      about(
        "Print the size in bytes, right-aligned to 12 columns, and a tab before each name, and after a delta the time that it starts from"
      )
    ),
    json: toggle("json").pipe(about("Print JSON, one object per line")),
    time: toggle("time").pipe(
      Flag.withAlias("t"),
      about(
        "Sort by the time in the names of snapshots, oldest first; objects that are not snapshots come before them, sorted by name"
      )
    )
  },
  run: Effect.fnUntraced(function* (options, global) {
    const { Command, SnapshotsList, StandardOutput, StorageConfigured } = yield* load(() => ({
      Command: import("../cli/ConfiguredCommand.ts"),
      SnapshotsList: import("../../programs/snapshots/SnapshotsList.ts"),
      StandardOutput: import("../../layers/process/StandardOutput.ts"),
      StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
    }))
    return yield* Command.once(
      { global },
      StandardOutput.write(SnapshotsList.lines(options)).pipe(Effect.as(0), Effect.provide(StorageConfigured.readOnly))
    )
  })
})
