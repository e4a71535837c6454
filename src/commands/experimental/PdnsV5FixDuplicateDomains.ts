/** `experimental pdns-v5-fix-duplicate-domains` finds zones that are stored twice, in a thread: see LmdbTaskThread. */
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { runTask } from "../LmdbTaskCommand.ts"

export const pdnsV5FixDuplicateDomains = defineCommand({
  name: "pdns-v5-fix-duplicate-domains",
  summary: "List or rename zones that PowerDNS 4.8 has twice",
  details: `
Two servers with PowerDNS 4.8 (schema version 5) can create a zone of the same
name at the same time, each with an id of its own. When both are synced, that
zone is there twice, and PowerDNS may refuse to work with it. Of the zones of
one name in DBI domains_v5_0, the one with the oldest time stays, of two of
the same time the one with the smaller id: every server picks the same.

With --dangerous-do-rename each of the others gets the name
<name>.dup-<id>.invalid. Then delete them with pdnsutil, as the output lists
them, also those of earlier runs. The records stay until then. Run this on one
server, with PowerDNS stopped there. An LMDB with another schema version is
refused.
`,
  examples: [
    {
      command: "lightningstream experimental pdns-v5-fix-duplicate-domains -d main",
      description: "List the zones that are there twice, and change nothing"
    },
    {
      command: "lightningstream experimental pdns-v5-fix-duplicate-domains -d main --dangerous-do-rename",
      description: "Rename the newer ones"
    }
  ],
  params: {
    database: text("database", "NAME").pipe(
      Flag.withAlias("d"),
      about("The main database of PowerDNS, by its exact name under lmdbs")
    ),
    dangerousDoRename: toggle("dangerous-do-rename").pipe(about("Rename the newer zones of each name"))
  },
  run: ({ dangerousDoRename, database }, global) =>
    runTask(global, database, (target) => ({ _tag: "FixDuplicateDomains", target, rename: dangerousDoRename }))
})
