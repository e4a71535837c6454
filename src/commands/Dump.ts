/** `dump`: prints LMDBs, which a separate thread reads (LmdbTaskThread). */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { about, oneOf, optional, text, toggle } from "./cli/Flags.ts"
import { load } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

const parts = () => ({
  Command: import("./cli/ConfiguredCommand.ts"),
  DatabaseOptions: import("../programs/DatabaseOptions.ts"),
  LmdbTaskThread: import("../layers/database/LmdbTaskThread.ts"),
  ProgressTerminal: import("../layers/process/ProgressTerminal.ts"),
  Settings: import("../services/Settings.ts"),
  StandardOutput: import("../layers/process/StandardOutput.ts")
})

export const dump = defineCommand({
  name: "dump",
  summary: "Print what the LMDBs hold",
  details: `
The databases come by name, each from one read transaction. Text is, for each
DBI,

    ### main :: records

    example.org A  =  . [00]

with bytes as snapshots dump shows them, headers included. JSON is one object
a line: each DBI, with its database, and then its entries; those with a native
header with its time, flags and transaction id, the others with key and value
alone.

What goes wrong with one database is logged, the next one follows, and the
exit code is 1 in the end. A file that is not there is an error, and is not
made. No bucket is used.
`,
  examples: [
    { command: "lightningstream dump --hide", description: "Print what the application sees" },
    { command: "lightningstream dump -n main -f json | head -3", description: "Print one database as JSON" }
  ],
  params: {
    hide: toggle("hide").pipe(Flag.withAlias("H"), about("Without the _sync* DBIs")),
    name: text("name", "NAME").pipe(
      Flag.withAlias("n"),
      about("Only this database, by its exact name under lmdbs"),
      optional
    ),
    format: oneOf("format", ["text", "json"]).pipe(Flag.withAlias("f"), about("text, the default, or json"))
  },
  run: Effect.fnUntraced(function* ({ format = "text", hide, name }, global) {
    const { Command, DatabaseOptions, LmdbTaskThread, ProgressTerminal, Settings, StandardOutput } = yield* load(parts)
    const dumpAll = Effect.gen(function* () {
      const settings = yield* Settings.Settings
      const names = yield* DatabaseOptions.chosenNames(settings, global.config, "--name", name)
      let code = 0
      for (const database of names) {
        const target = DatabaseOptions.taskTarget(settings, database)
        const task = { _tag: "Dump", target, format, hidesPrivate: hide } as const
        const text = LmdbTaskThread.text(workerEntry, { log: settings.log, instance: "", task }, (ended) => {
          code |= ended
        })
        yield* StandardOutput.write(text)
      }
      return code
    })
    // On a terminal, the text itself shows the progress.
    const shown = process.stdout.isTTY ? Effect.provide(dumpAll, ProgressTerminal.silent) : dumpAll
    return yield* Command.once({ global, usesBucket: false }, shown)
  })
})
