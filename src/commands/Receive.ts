/** `receive` does the same as `sync` but never writes to the bucket. */
import { defineCommand } from "./cli/CommandDefinition.ts"
import { runDaemon, syncFlags } from "./Sync.ts"

export const receive = defineCommand({
  name: "receive",
  summary: "Merge changes of others, and never write to the bucket",
  details: `
As sync, with the same options, but nothing in the bucket is ever stored,
deleted or made: no snapshots, no update marker, no cleaning, and no bucket,
container or directory either, whatever create_bucket and create_container
say. Changes of the application stay here, and win against older ones of
others. With --only-once it ends when everything that was there is merged.
`,
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
