/** Composes the layers of `snapshots list` and `snapshots dump`. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import type { Command } from "./domain/CommandLine.ts"
import * as Compressions from "./layers/compression/Compressions.ts"
import * as LocalFile from "./layers/process/LocalFile.ts"
import * as StandardOutput from "./layers/process/StandardOutput.ts"
import * as StorageConfigured from "./layers/storage/StorageConfigured.ts"
import { bounded, earlyLog, report, withSettings } from "./mainCommand.ts"
import * as SnapshotsDump from "./programs/snapshots/SnapshotsDump.ts"
import * as SnapshotsList from "./programs/snapshots/SnapshotsList.ts"
import { Settings } from "./services/Settings.ts"
import { Storage } from "./services/Storage.ts"

/** A file needs no configuration. */
const dumpFile = ({ global, options }: Extract<Command, { readonly _tag: "SnapshotsDump" }>) =>
  StandardOutput.write(SnapshotsDump.lines(options, LocalFile.read(options.name))).pipe(
    Effect.as(0),
    bounded(global),
    Effect.catch(report),
    Effect.provide([Compressions.layer, NodeServices.layer, earlyLog(global)])
  )

/** The exit code. */
export const snapshots = (
  command: Extract<Command, { readonly _tag: "SnapshotsList" | "SnapshotsDump" }>
): Effect.Effect<number> => {
  if (command._tag === "SnapshotsDump" && command.options.local) return dumpFile(command)
  return withSettings(command, ({ settings }) =>
    Effect.gen(function* () {
      const { load } = yield* Storage
      yield* command._tag === "SnapshotsList"
        ? StandardOutput.write(SnapshotsList.lines(command.options))
        : StandardOutput.write(SnapshotsDump.lines(command.options, load(command.options.name)))
      return 0
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Layer.provide(StorageConfigured.readOnly, Layer.succeed(Settings, settings)), Compressions.layer)
      )
    )
  )
}
