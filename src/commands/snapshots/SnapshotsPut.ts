/** `snapshots put`: copies a file of this machine to the bucket. */
import { Effect, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import * as path from "node:path"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, optional, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"
import { UsageError } from "../cli/UsageError.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  Progress: import("../../services/Progress.ts"),
  SnapshotName: import("../../domain/snapshot/SnapshotName.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
})

export const snapshotsPut = defineCommand({
  name: "put",
  summary: "Upload a file to the bucket",
  details: `
An object of that name is replaced. Every running instance merges a snapshot
that is uploaded, if it is the newest of its instance. The update marker is
kept, and the bucket is made where the configuration says so.
`,
  examples: [
    {
      command: "lightningstream snapshots put main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Upload a snapshot under the name of the file"
    },
    {
      command: "touch start && lightningstream snapshots put --force start",
      description: "Make the object that sync --wait-for-marker-file start waits for"
    }
  ],
  params: {
    file: Argument.String("file").pipe(Argument.withMetavar("FILE"), Argument.withDescription("File to upload")),
    name: text("name", "NAME").pipe(
      Flag.withAlias("n"),
      about("Name of the object (default: that of the file)"),
      optional
    ),
    force: toggle("force").pipe(about("Also under a name that is not a snapshot's"))
  },
  run: Effect.fnUntraced(function* ({ file, force, name = path.basename(file) }, global) {
    const { Command, LocalFile, Progress, SnapshotName, Storage, StorageConfigured } = yield* load(parts)
    if (!force && SnapshotName.parse(name) === undefined) {
      const problem = `${JSON.stringify(name)} is not a snapshot's name: give one with --name, or upload it all the same with --force`
      return yield* new UsageError({ command: "lightningstream snapshots put", problems: [problem] })
    }
    const put = Effect.gen(function* () {
      const storage = yield* Storage.Storage
      const { measure } = yield* Progress.Progress
      const source = yield* LocalFile.source(file)
      const meter = yield* measure({ label: `Uploading ${name}`, unit: "bytes", total: source.size })
      const read = (start: number, end: number) =>
        Stream.tap(source.read(start, end), (chunk) => Effect.sync(() => meter.add(chunk.length)))
      yield* storage.store(name, { ...source, read })
      return 0
    })
    return yield* Command.once({ global }, Effect.provide(Effect.scoped(put), StorageConfigured.layer))
  })
})
