/**
 * The common part of `verify` and `sync --dry-run`, which use LMDB in a separate thread. It is loaded when one of these
 * commands runs.
 */
import { Effect, Schema, Stream } from "effect"
import * as LmdbTaskThread from "../layers/database/LmdbTaskThread.ts"
import * as StandardOutput from "../layers/process/StandardOutput.ts"
import { ComparisonResult, type ComparisonText, type DryRun, type Verify } from "../services/LmdbTask.ts"
import type { SettingsValues } from "../services/Settings.ts"
import { workerEntry } from "./WorkerEntry.ts"

const resultOf = Schema.decodeUnknownSync(Schema.fromJsonString(ComparisonResult))

/** The result of a task that has failed and has logged the reason. */
const failed: typeof ComparisonText.Type = { _tag: "Text", isGood: false, text: "" }

export const run =
  ({ log }: SettingsValues) =>
  (task: Verify | DryRun) =>
    Effect.map(LmdbTaskThread.run(workerEntry, { log, instance: "", task }), ({ code, text }) =>
      code === 0 ? resultOf(text) : failed
    )

/** Prints the text of a comparison. Returns the exit code. */
export const print = ({ isGood, text }: typeof ComparisonText.Type) =>
  Effect.as(StandardOutput.write(Stream.make(text)), isGood ? 0 : 1)
