/** `verify` checks whether the instances agree. A separate thread reads the LMDB (LmdbTaskThread). */
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
  summary: "Compare the newest snapshots of all instances and the local LMDBs entry by entry",
  details: `
For each database, the command prints the number of entries and tombstones and
a digest of every DBI, in the newest snapshot of each instance and in the
local LMDB, and whether they contain what they should. A snapshot should
contain each entry of another instance's snapshot, or a version that wins over
it, if it is newer than that snapshot by at least --grace. Otherwise the two
are "not comparable yet". The LMDB should contain the entries of all snapshots
that are older than --grace. The daemon does not send a snapshot when it has
only merged, so an instance without changes of its own becomes comparable
after its next forced snapshot.

    b DIFFERS from a
        records: 1 missing, 0 outdated, first
            missing: example.org

Keys, times, deleted flags and values are compared. Transaction ids, extension
blocks, and tombstones that are older than the sweeper's cut-off are ignored.
In shadow mode, the shadow DBIs of the LMDB are compared. They are as of the
last send or merge.

A snapshot that is corrupt or could not be merged here is reported as NOT
READABLE, and the next-newest state of its instance is compared instead.

The exit code is 1 if entries are missing or outdated, if a snapshot is NOT
READABLE, if an LMDB cannot be read, or if there is no snapshot at all. In
JSON, an instance of null stands for the LMDB. Nothing is changed. Snapshots
are downloaded to spool_directory.
`,
  examples: [
    { command: "lightningstream verify", description: "Compare all databases in lightningstream.yaml" },
    {
      command: "lightningstream verify --grace 10m --json | grep '\"differs\"'",
      description: "Print the differences, if merges may take up to ten minutes"
    }
  ],
  params: {
    grace: duration("grace").pipe(
      about("Time by which a snapshot must be newer than another to be compared with it (default: 1m)"),
      optional
    ),
    json: toggle("json").pipe(about("Print JSON, one object per line"))
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
