/** `snapshots dump`: of an object, or of a file, which needs no configuration. */
import { Effect, Layer } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, oneOf, optional, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"

const parts = () => ({
  Command: import("../cli/Command.ts"),
  Compressions: import("../../layers/compression/Compressions.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  NodeServices: import("@effect/platform-node/NodeServices"),
  SnapshotsDump: import("../../programs/snapshots/SnapshotsDump.ts"),
  StandardOutput: import("../../layers/process/StandardOutput.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
})

export const snapshotsDump = defineCommand({
  name: "dump",
  summary: "Print what a snapshot holds",
  examples: [
    {
      command: "lightningstream snapshots dump main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a snapshot of the bucket"
    },
    {
      command: "lightningstream snapshots dump --local --format json main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a file as JSON, one object a line"
    }
  ],
  params: {
    name: Argument.String("name").pipe(Argument.withDescription("Object, or with --local the path of a file")),
    dbi: text("dbi", "NAME").pipe(Flag.withAlias("d"), about("Only this DBI"), optional),
    local: toggle("local").pipe(Flag.withAlias("l"), about("NAME is the path of a file; needs no configuration")),
    format: oneOf("format", ["debug", "text", "json"]).pipe(
      Flag.withAlias("f"),
      about("text (also called debug; the default), or json: one object per line")
    )
  },
  run: Effect.fnUntraced(function* ({ dbi, format, local, name }, global) {
    const {
      Command,
      Compressions,
      LocalFile,
      NodeServices,
      SnapshotsDump,
      StandardOutput,
      Storage,
      StorageConfigured
    } = yield* load(parts)
    const options = { name, dbi, format: format === "json" ? "json" : "text" } as const
    if (local) {
      return yield* StandardOutput.write(SnapshotsDump.lines(options, LocalFile.read(name))).pipe(
        Effect.as(0),
        Command.bounded(global),
        Effect.catch(Command.report),
        Effect.provide([Compressions.layer, NodeServices.layer, Command.earlyLog(global)])
      )
    }
    return yield* Command.withSettings({ global }, () =>
      Storage.Storage.use(({ load }) => StandardOutput.write(SnapshotsDump.lines(options, load(name)))).pipe(
        Effect.as(0),
        Effect.provide(Layer.merge(StorageConfigured.readOnly, Compressions.layer))
      )
    )
  })
})
