/** `stats` prints statistics of LMDBs, which a separate thread reads (LmdbTaskThread). */
import { Effect, Stream } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { about, oneOf, optional, text } from "./cli/Flags.ts"
import { load } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

const parts = () => ({
  Command: import("./cli/ConfiguredCommand.ts"),
  DatabaseOptions: import("../programs/DatabaseOptions.ts"),
  LmdbTaskThread: import("../layers/database/LmdbTaskThread.ts"),
  StandardOutput: import("../layers/process/StandardOutput.ts")
})

export const stats = defineCommand({
  name: "stats",
  summary: "Print the entries, pages, depth, tombstones and space usage of the LMDBs",
  details: `
The databases are printed in the order of their names. Sizes are in bytes.
"Used" is the size of the pages of all DBIs, without free pages. "Readers" is
the number of occupied slots in LMDB's reader table. These slots belong to
this command, to other processes, and to killed processes whose slots LMDB has
not freed yet.

Pages, entries and depth are those that LMDB reports. For a DBI with
MDB_DUPSORT, they do not include the pages of values that have a tree of their
own. Tombstones are counted by reading all entries with a native header. "-"
means that the DBI has no such entries.

The json format prints one object per line for each database. If an error
occurs in one database, it is logged, the command continues with the next
database, and the exit code is 1. A missing file is an error, and is not
created. The bucket is not used.
`,
  examples: [
    { command: "lightningstream stats", description: "Print the statistics of all databases" },
    {
      command: "lightningstream stats -n main -f json",
      description: "Print the statistics of one database as JSON, for a script"
    }
  ],
  params: {
    name: text("name", "NAME").pipe(
      Flag.withAlias("n"),
      about("Print only this database, by its exact name under lmdbs"),
      optional
    ),
    format: oneOf("format", ["text", "json"]).pipe(
      Flag.withAlias("f"),
      about("Output format: text (the default) or json")
    )
  },
  run: Effect.fnUntraced(function* ({ format = "text", name }, global) {
    const { Command, DatabaseOptions, LmdbTaskThread, StandardOutput } = yield* load(parts)
    return yield* Command.onceWith({ global, usesBucket: false }, ({ settings }) =>
      Effect.gen(function* () {
        const names = yield* DatabaseOptions.chosenNames(settings, global.config, "--name", name)
        const targets = names.map((one) => DatabaseOptions.taskTarget(settings, one))
        const task = { _tag: "Stats", targets, format } as const
        const result = yield* LmdbTaskThread.run(workerEntry, { log: settings.log, instance: "", task })
        yield* StandardOutput.write(Stream.make(result.text))
        return result.code
      })
    )
  })
})
