/** The common parts of commands that open LMDBs in a separate thread (LmdbTaskThread). */
import { Effect, Stream } from "effect"
import type { LmdbTask, TaskTarget } from "../services/LmdbTask.ts"
import type { GlobalOptions } from "./cli/GlobalFlags.ts"
import { load } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

const parts = () => ({
  Command: import("./cli/ConfiguredCommand.ts"),
  DatabaseOptions: import("../programs/DatabaseOptions.ts"),
  LmdbTaskThread: import("../layers/database/LmdbTaskThread.ts"),
  StandardOutput: import("../layers/process/StandardOutput.ts")
})

/** Runs a command with an option `--database`. Returns the exit code. */
export const runTask = Effect.fnUntraced(function* (
  global: GlobalOptions,
  database: string,
  taskOf: (target: TaskTarget) => LmdbTask
) {
  const { Command, DatabaseOptions, LmdbTaskThread, StandardOutput } = yield* load(parts)
  return yield* Command.onceWith({ global, usesBucket: false }, ({ settings }) =>
    Effect.gen(function* () {
      yield* DatabaseOptions.chosenNames(settings, global.config, "--database", database)
      const task = taskOf(DatabaseOptions.taskTarget(settings, database))
      const { code, text } = yield* LmdbTaskThread.run(workerEntry, { log: settings.log, instance: "", task })
      yield* StandardOutput.write(Stream.make(text))
      return code
    })
  )
})
