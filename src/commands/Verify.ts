/** `verify`: checks whether the instances agree. A separate thread reads the LMDB (LmdbTaskThread). */
import { Duration, Effect } from "effect"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { about, duration, optional, toggle } from "./cli/Flags.ts"
import { load } from "./cli/Load.ts"

const parts = () => ({
  Command: import("./cli/ConfiguredCommand.ts"),
  ComparisonThread: import("./ComparisonThread.ts"),
  Settings: import("../services/Settings.ts"),
  SpoolFile: import("../layers/spool/SpoolFile.ts"),
  StorageConfigured: import("../layers/storage/StorageConfigured.ts"),
  Verify: import("../programs/verify/Verify.ts")
})

export const verify = defineCommand({
  name: "verify",
  summary: "Compare the instances' newest snapshots and the LMDBs here, entry by entry",
  details: `
For each database: entries, tombstones and a digest of every DBI, in the
newest snapshot of each instance and in the LMDB here, and whether they have
what they should have. A snapshot should have each entry of another instance's
snapshot, or a version that wins over it, if its own time is later than that
one's by --grace; else the two are "not comparable yet". The LMDB should have
what is in all snapshots that are older than --grace. As the daemon sends
nothing when it has only merged, an instance without changes of its own is
comparable after its next forced snapshot.

    b DIFFERS from a
        records: 1 missing, 0 outdated, first
            missing: example.org

Key, time, deleted flag and value count; transaction ids and extension blocks
do not, nor do tombstones that are older than the sweeper's cut-off. In shadow
mode the LMDB's shadow DBIs are compared, which are as of the last send or
merge.

A snapshot that is corrupt or could not be merged here is named as NOT
READABLE, and the next-newest state of its instance is compared instead.

The exit code is 1 if something is missing or outdated, if a snapshot is NOT
READABLE, if an LMDB cannot be read, and if there is no snapshot at all. JSON
is one object a line; an instance of null is the LMDB. Nothing is changed.
Snapshots are downloaded to spool_directory.
`,
  examples: [
    { command: "lightningstream verify", description: "Compare all databases of lightningstream.yaml" },
    {
      command: "lightningstream verify --grace 10m --json | grep '\"differs\"'",
      description: "Print who lacks what, where merges may take ten minutes"
    }
  ],
  params: {
    grace: duration("grace").pipe(
      about("How much later a snapshot must be to be held against another (default: 1m)"),
      optional
    ),
    json: toggle("json").pipe(about("Print JSON, one object a line"))
  },
  run: Effect.fnUntraced(function* ({ grace = Duration.minutes(1), json }, global) {
    const { giveBackFreed } = yield* Effect.promise(() => import("../layers/process/ProcessMemory.ts"))
    yield* giveBackFreed
    const loaded = yield* load(parts)
    const { Command, ComparisonThread, Verify } = loaded
    const verifyAll = Effect.gen(function* () {
      const settings = yield* loaded.Settings.Settings
      const spool = loaded.SpoolFile.layerWith({ directory: settings.spool_directory, memoryLimit: 0 })
      let code = 0
      for (const database of Object.keys(settings.lmdbs).toSorted()) {
        code |= yield* Verify.verify({ database, grace, json }, ComparisonThread.run(settings)).pipe(
          Effect.flatMap(ComparisonThread.print),
          Effect.catch((error) => Effect.as(Effect.logError("Cannot verify the database", error), 1)),
          Effect.provide(spool),
          Effect.annotateLogs({ db: database })
        )
      }
      return code
    }).pipe(Effect.provide(loaded.StorageConfigured.readOnly))
    return yield* Command.once({ global }, verifyAll)
  })
})
