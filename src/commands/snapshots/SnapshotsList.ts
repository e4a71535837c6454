/** `snapshots list` lists the objects of the bucket. */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"

export const snapshotsList = defineCommand({
  name: "list",
  summary: "List the objects of the bucket",
  details: `
One name a line, in byte order: all below the global prefix, whoever they
belong to, except the update marker. The bucket is only read.

A delta (.pbd) holds what has changed since the time in its name behind F,
which is shown as "delta from" by --long, too. JSON has name and size of each
object, and database, instance, kind (snapshot or delta), timestampNano and,
of a delta, fromNano of each snapshot.
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
      about("Only names that begin with this"),
      Flag.withDefault("")
    ),
    long: toggle("long").pipe(
      Flag.withAlias("l"),
      about(
        "With the size in bytes, right-aligned to 12, and a tab before each name; behind a delta what it starts from"
      )
    ),
    json: toggle("json").pipe(about("Print JSON, one object a line")),
    time: toggle("time").pipe(
      Flag.withAlias("t"),
      about("By the time in the snapshots' names, oldest first; what is no snapshot comes before them, by name")
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
