/** `experimental migrate-timestamps` copies timestamps from one DBI to another, in a thread: see LmdbTaskThread. */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { UsageError } from "../cli/UsageError.ts"
import { runTask } from "../LmdbTaskCommand.ts"

export const migrateTimestamps = defineCommand({
  name: "migrate-timestamps",
  summary: "Give the entries of a DBI the times that their keys have in another DBI",
  details: `
For an application that has written all entries into a new schema, as
PowerDNS 4.8 does at its first start. In one write transaction, each entry of
the destination whose key the source has with a later time gets that time;
value and flags stay. With --add-delete-entries, keys that are tombstones in
the source, and that the destination does not have, become tombstones there.

Values of the source have native headers, as in shadow DBIs, or begin with 8
bytes of time, as in those of release 0.2 (_sync_ and the name), where 8 bytes
alone are a tombstone. Those of the destination have native headers. A value
that is too short is an error, and undoes everything. Stop sync and receive on
that LMDB before, and take a copy of it.
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
      description: "Take the times that release 0.2 has left, if it ever ran"
    }
  ],
  params: {
    database: text("database", "NAME").pipe(Flag.withAlias("d"), about("The database, by its exact name under lmdbs")),
    srcDbi: text("src-dbi", "DBI").pipe(about("DBI that has the times")),
    dstDbi: text("dst-dbi", "DBI").pipe(about("DBI that gets them")),
    addDeleteEntries: toggle("add-delete-entries").pipe(
      about("Add the tombstones of the source whose keys the destination does not have")
    ),
    ignoreSrcDbiNotPresent: toggle("ignore-src-dbi-not-present").pipe(
      about("Warn and end with 0 when there is no source DBI")
    )
  },
  run: Effect.fnUntraced(function* (given, global) {
    if (given.srcDbi === given.dstDbi) {
      const problems = [`--src-dbi and --dst-dbi are both ${JSON.stringify(given.srcDbi)}: give two DBIs`]
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
