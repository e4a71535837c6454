/** `receive`: as `sync`, without ever writing to the bucket. */
import { defineCommand } from "./cli/CommandDefinition.ts"
import { runDaemon, syncFlags } from "./Sync.ts"

export const receive = defineCommand({
  name: "receive",
  summary: "Merge changes of others, and never write to the bucket",
  examples: [
    { command: "lightningstream receive", description: "Follow the other instances" },
    {
      command: "lightningstream receive --only-once --only-db main",
      description: "Fetch the newest state of one database, and end"
    }
  ],
  params: syncFlags,
  run: (options, global) => runDaemon(options, global, true)
})
