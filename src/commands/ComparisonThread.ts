/** What `verify` and `sync --dry-run` have in common: LMDB runs in a thread of its own. Loaded when a command runs. */
import { Effect, Schema, Stream } from "effect"
import * as LmdbTaskThread from "../layers/database/LmdbTaskThread.ts"
import * as StandardOutput from "../layers/process/StandardOutput.ts"
import { ComparisonResult, type ComparisonText, type DryRun, type Verify } from "../services/LmdbTask.ts"
import type { SettingsValues } from "../services/Settings.ts"
import { workerEntry } from "./WorkerEntry.ts"

const resultOf = Schema.decodeUnknownSync(Schema.fromJsonString(ComparisonResult))

/** It has failed, and has said why. */
const failed: typeof ComparisonText.Type = { _tag: "Text", isGood: false, text: "" }

export const run =
  ({ log }: SettingsValues) =>
  (task: Verify | DryRun) =>
    Effect.map(LmdbTaskThread.run(workerEntry, { log, instance: "", task }), ({ code, text }) =>
      code === 0 ? resultOf(text) : failed
    )

/** The exit code. */
export const print = ({ isGood, text }: typeof ComparisonText.Type) =>
  Effect.as(StandardOutput.write(Stream.make(text)), isGood ? 0 : 1)
