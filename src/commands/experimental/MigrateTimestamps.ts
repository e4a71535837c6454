/** `experimental migrate-timestamps` copies timestamps from one DBI to another, in a thread: see LmdbTaskThread. */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { UsageError } from "../cli/UsageError.ts"
import { runTask } from "../LmdbTaskCommand.ts"

export const migrateTimestamps = defineCommand({
  name: "migrate-timestamps",
  summary: "Copy the times of entries from one DBI to the same keys in another DBI",
  details: `
Use this command when an application has written all entries into a new
schema, as PowerDNS 4.8 does at its first start. In a single write
transaction, each entry of the destination DBI gets the time of the same key
in the source DBI if that time is later. Values and flags are not changed.
With --add-delete-entries, tombstones of the source are added to the
destination if it does not have their keys.

Values in the source DBI must have native headers, as in shadow DBIs, or begin
with a time of 8 bytes, as in the shadow DBIs of release 0.2 (_sync_ followed
by the name of the DBI), where a value of just 8 bytes is a tombstone. Values
in the destination DBI must have native headers. If a value is too short, the
command fails and nothing is changed. Stop sync and receive on that LMDB
first, and make a copy of it.
`,
  examples: [
    {
      command:
        "lightningstream experimental migrate-timestamps -d shard --src-dbi _sync_shadow_records --dst-dbi records_v5 --add-delete-entries",
      description: "Keep times and deletions of a shard when PowerDNS 4.7 becomes 4.8"
    },
    {
      command:
        "lightningstream experimental migrate-timestamps -d main --src-dbi _sync_meta --dst-dbi pdns --ignore-src-dbi-not-present",
      description: "Use the times that release 0.2 has left behind, if it was ever used"
    }
  ],
  params: {
    database: text("database", "NAME").pipe(Flag.withAlias("d"), about("Database, by its exact name under lmdbs")),
    srcDbi: text("src-dbi", "DBI").pipe(about("DBI to copy the times from")),
    dstDbi: text("dst-dbi", "DBI").pipe(about("DBI to copy the times to")),
    addDeleteEntries: toggle("add-delete-entries").pipe(
      about("Add the tombstones of the source whose keys the destination does not have")
    ),
    ignoreSrcDbiNotPresent: toggle("ignore-src-dbi-not-present").pipe(
      about("If the source DBI does not exist, log a warning and exit with code 0")
    )
  },
  run: Effect.fnUntraced(function* (given, global) {
    if (given.srcDbi === given.dstDbi) {
      const problems = [`--src-dbi and --dst-dbi are both ${JSON.stringify(given.srcDbi)}: specify two different DBIs`]
      return yield* new UsageError({ command: "lightningstream experimental migrate-timestamps", problems })
    }
    return yield* runTask(global, given.database, (target) => ({
      _tag: "MigrateTimestamps",
      target,
      src: given.srcDbi,
      dst: given.dstDbi,
      addTombstones: given.addDeleteEntries,
      ignoreMissingSource: given.ignoreSrcDbiNotPresent
    }))
  })
})
