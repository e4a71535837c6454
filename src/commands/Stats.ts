/** `stats`: prints statistics of LMDBs, which a separate thread reads (LmdbTaskThread). */
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
  summary: "Print entries, pages, depth and tombstones of the LMDBs, and how full they are",
  details: `
The databases come by name. Sizes are in bytes. Used is what the pages of all
DBIs take, free pages not included. Readers are slots of LMDB's table that are
taken: by this command, by others, and by processes that were killed, until
LMDB frees theirs.

Pages, entries and depth are what LMDB counts: of a DBI with MDB_DUPSORT
without the pages of values that have a tree of their own. Tombstones are
counted by a walk over all entries with a native header; "-" stands for a DBI
that has none.

JSON is one object a line, one for each database. What goes wrong with one
database is logged, the next one follows, and the exit code is 1 in the end. A
file that is not there is an error, and is not created. No bucket is used.
`,
  examples: [
    { command: "lightningstream stats", description: "Print the statistics of all databases" },
    {
      command: "lightningstream stats -n main -f json",
      description: "Print those of one database as JSON, for a script"
    }
  ],
  params: {
    name: text("name", "NAME").pipe(
      Flag.withAlias("n"),
      about("Only this database, by its exact name under lmdbs"),
      optional
    ),
    format: oneOf("format", ["text", "json"]).pipe(Flag.withAlias("f"), about("text, the default, or json"))
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
