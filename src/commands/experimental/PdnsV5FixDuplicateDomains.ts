/** `experimental pdns-v5-fix-duplicate-domains` finds zones that are stored twice, in a thread: see LmdbTaskThread. */
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, text, toggle } from "../cli/Flags.ts"
import { runTask } from "../LmdbTaskCommand.ts"

export const pdnsV5FixDuplicateDomains = defineCommand({
  name: "pdns-v5-fix-duplicate-domains",
  summary: "List or rename duplicate zones of PowerDNS 4.8",
  details: `
Two servers with PowerDNS 4.8 (schema version 5) can create a zone of the same
name at the same time, each with its own id. After both have been synced, the
zone exists twice, and PowerDNS may refuse to use it. Of the zones with the
same name in the DBI domains_v5_0, the one with the oldest time is kept. If
the times are equal, the one with the smaller id is kept. Thus every server
keeps the same zone.

With --dangerous-do-rename, each of the other zones is renamed to
<name>.dup-<id>.invalid. Then delete them with pdnsutil as shown in the
output, which also lists zones that earlier runs have renamed. Their records
stay until then. Run this command on one server only, and stop PowerDNS there
first. An LMDB with another schema version is refused.
`,
  examples: [
    {
      command: "lightningstream experimental pdns-v5-fix-duplicate-domains -d main",
      description: "List the duplicate zones without changing anything"
    },
    {
      command: "lightningstream experimental pdns-v5-fix-duplicate-domains -d main --dangerous-do-rename",
      description: "Rename the newer zones"
    }
  ],
  params: {
    database: text("database", "NAME").pipe(
      Flag.withAlias("d"),
      about("Main database of PowerDNS, by its exact name under lmdbs")
    ),
    dangerousDoRename: toggle("dangerous-do-rename").pipe(about("Rename the newer zones of each name"))
  },
  run: ({ dangerousDoRename, database }, global) =>
    runTask(global, database, (target) => ({ _tag: "FixDuplicateDomains", target, rename: dangerousDoRename }))
})
