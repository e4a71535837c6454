/** `snapshots get` copies an object of the bucket to a local file. */
import { Effect, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, optional, text } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"
import { UsageError } from "../cli/UsageError.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  Progress: import("../../services/Progress.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
})

export const snapshotsGet = defineCommand({
  name: "get",
  summary: "Download an object from the bucket to a file",
  details: `
The object is downloaded to a temporary file in the same directory, which is
then synced and renamed. If the download fails or is interrupted, an existing
file is left unchanged.
`,
  examples: [
    {
      command: "lightningstream snapshots get main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Download to a file of the same name in the working directory"
    },
    {
      command: "lightningstream snapshots get -o /tmp/a.pb.gz main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Download to another file"
    }
  ],
  params: {
    name: Argument.String("name").pipe(
      Argument.withMetavar("NAME"),
      Argument.withDescription("Name of the object to download")
    ),
    output: text("output", "FILE").pipe(
      Flag.withAlias("o"),
      about("File to write (default: NAME in the working directory); an existing file is replaced"),
      optional
    )
  },
  run: Effect.fnUntraced(function* ({ name, output }, global) {
    const { Command, LocalFile, Progress, Storage, StorageConfigured } = yield* load(parts)
    if (output === undefined && name.includes("/")) {
      const problem = `${JSON.stringify(name)} cannot be used as the name of a file: specify one with --output`
      return yield* new UsageError({ command: "lightningstream snapshots get", problems: [problem] })
    }
    const get = Effect.gen(function* () {
      const storage = yield* Storage.Storage
      const { measure } = yield* Progress.Progress
      const objects = yield* storage.list(name)
      const total = objects.find((object) => object.name === name)?.size
      const meter = yield* measure({ label: `Downloading ${name}`, unit: "bytes", total })
      const bytes = Stream.tap(storage.load(name), (chunk) => Effect.sync(() => meter.add(chunk.length)))
      yield* LocalFile.write(output ?? name, bytes)
      return 0
    })
    return yield* Command.once({ global }, Effect.provide(Effect.scoped(get), StorageConfigured.readOnly))
  })
})
