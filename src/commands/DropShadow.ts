/** `drop-shadow`. LMDB runs in this thread: there is nothing else to do meanwhile. */
import { Effect } from "effect"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { load } from "./cli/Load.ts"

export const dropShadow = defineCommand({
  name: "drop-shadow",
  summary: "Drop the _sync* DBIs of every configured database; stop sync and receive before",
  examples: [
    {
      command: "lightningstream drop-shadow",
      description: "Drop the shadow DBIs of all databases in lightningstream.yaml"
    },
    { command: "lightningstream drop-shadow -c pdns.yaml", description: "Name another configuration" }
  ],
  params: {},
  run: Effect.fnUntraced(function* (_, global) {
    const { Command, DropShadow, LmdbNative } = yield* load(() => ({
      Command: import("./cli/Command.ts"),
      DropShadow: import("../programs/DropShadow.ts"),
      LmdbNative: import("../layers/lmdb/native/LmdbNative.ts")
    }))
    return yield* Command.withSettings({ global, usesBucket: false }, () => DropShadow.run(LmdbNative.layerWith))
  })
})
