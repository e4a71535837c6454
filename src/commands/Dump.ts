/** `dump` prints LMDBs, which a separate thread reads (LmdbTaskThread). */
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
  summary: "Print the contents of the LMDBs",
  details: `
The databases are printed in the order of their names, each from a single read
transaction. The text format prints for each DBI:

    ### main :: records

    example.org A  =  . [00]

Bytes are printed as by snapshots dump, and headers are included. The json
format prints one object per line: each DBI with its database, followed by its
entries. Each entry has a key and a value, and if it has a native header also
the time, flags and transaction id of that header.

If an error occurs in one database, it is logged, the command continues with
the next database, and the exit code is 1. A missing file is an error, and is
not created. The bucket is not used.
`,
  examples: [
    { command: "lightningstream dump --hide", description: "Print what the application sees" },
    { command: "lightningstream dump -n main -f json | head -3", description: "Print one database as JSON" }
  ],
  params: {
    hide: toggle("hide").pipe(Flag.withAlias("H"), about("Hide the _sync* DBIs")),
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
