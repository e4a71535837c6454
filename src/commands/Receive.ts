/** `receive` does the same as `sync` but never writes to the bucket. */
import { defineCommand } from "./cli/CommandDefinition.ts"
import { runDaemon, syncFlags } from "./Sync.ts"

export const receive = defineCommand({
  name: "receive",
  summary: "Merge changes of other instances without ever writing to the bucket",
  details: `
This command does the same as sync and has the same options, but it never
stores, deletes or creates anything in the bucket: it sends no snapshots,
writes no update marker and runs no cleaner. It does not create a bucket,
container or directory either, whatever create_bucket and create_container
say. Changes of the application stay in the local LMDB, where they win over
older changes of other instances. With --only-once, the command ends when
every snapshot that was in the bucket at the start is merged.
`,
  examples: [
    { command: "lightningstream receive", description: "Follow the other instances" },
    {
      command: "lightningstream receive --only-once --only-db main",
      description: "Fetch the newest state of one database, and exit"
    }
  ],
  params: syncFlags,
  run: (options, global) => runDaemon(options, global, true)
})
