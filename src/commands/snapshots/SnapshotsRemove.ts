/** `snapshots remove` deletes an object from the bucket. */
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { load } from "../cli/Load.ts"

export const snapshotsRemove = defineCommand({
  name: "remove",
  summary: "Delete an object from the bucket",
  details: `
It is not an error if the object does not exist. The update marker is
rewritten if use_update_marker is set.

Running instances that have not merged the snapshot yet can no longer do so.
The newest snapshot of an instance may be the only copy of its data.
`,
  examples: [
    {
      command: "lightningstream snapshots remove main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Delete one snapshot"
    },
    {
      command: "lightningstream snapshots list -p main__gone__ | xargs -rn1 lightningstream snapshots remove",
      description: "Delete all snapshots of an instance that will not come back"
    }
  ],
  params: {
    name: Argument.String("name").pipe(
      Argument.withMetavar("NAME"),
      Argument.withDescription("Name of the object to delete")
    )
  },
  run: Effect.fnUntraced(function* ({ name }, global) {
    const { Command, Storage, StorageConfigured } = yield* load(() => ({
      Command: import("../cli/ConfiguredCommand.ts"),
      Storage: import("../../services/Storage.ts"),
      StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
    }))
    const remove = Storage.Storage.use((storage) => Effect.as(storage.delete(name), 0))
    return yield* Command.once({ global }, Effect.provide(remove, StorageConfigured.readOnly))
  })
})
