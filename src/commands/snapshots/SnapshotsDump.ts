/** `snapshots dump` prints an object of the bucket, or a local file, which needs no configuration. */
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, oneOf, optional, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  Compressions: import("../../layers/compression/Compressions.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  SnapshotsDump: import("../../programs/snapshots/SnapshotsDump.ts"),
  StandardOutput: import("../../layers/process/StandardOutput.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
})

export const snapshotsDump = defineCommand({
  name: "dump",
  summary: "Print what a snapshot holds",
  details: `
It is printed while it is read, and may be larger than the memory. The bucket
is only read. A corrupt snapshot is printed as far as it can be read; then an
error on standard error names the byte at which it ends, and the exit code is
1. Names that end in .zst are read as zstd, all others as gzip.

Text: versions and meta as indented JSON, then for each DBI

    ### records (transform="", flags="MDB_INTEGERKEY")

    example.org A  =  . [00]  (2023-11-14T22:13:20.000000001Z, 1h2m3s ago; flags=00)

Bytes are shown as printable ASCII with "." for the others. All of them follow
in hexadecimal, [00 ff], where there are others, or there are 8 or less, or
the first 8 are nanoseconds from 2022 to 30 days from now; then that time
follows as well. Flags of an entry are hexadecimal, as stored: 01 is a
tombstone.

JSON: one object a line: the snapshot, then each DBI followed by its entries,
in the order of the object. 64-bit numbers are decimal strings, bytes
lower-case hexadecimal. A DBI name that is not UTF-8 comes as dbiHex.

    {"snapshot":{"formatVersion":3,"compatVersion":1,"generationID":"GX", …}}
    {"dbi":"records_v5","flags":0,"transform":""}
    {"key":"00000001","value":"c0000201","timestampNano":"1700000000000000001","flags":0}
`,
  examples: [
    {
      command: "lightningstream snapshots dump main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a snapshot of the bucket"
    },
    {
      command: "lightningstream snapshots dump --local --format json main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a file as JSON, one object a line"
    }
  ],
  params: {
    name: Argument.String("name").pipe(
      Argument.withDescription("Object, or with --local the path of a file"),
      Argument.withMetavar("NAME")
    ),
    dbi: text("dbi", "NAME").pipe(
      Flag.withAlias("d"),
      about("Only this DBI, by its exact name; one that is not there is an error (1)"),
      optional
    ),
    local: toggle("local").pipe(Flag.withAlias("l"), about("NAME is the path of a file; needs no configuration")),
    format: oneOf("format", ["debug", "text", "json"]).pipe(
      Flag.withAlias("f"),
      about("text (also called debug), the default, or json")
    )
  },
  run: Effect.fnUntraced(function* ({ dbi, format, local, name }, global) {
    const {
      Command,
      Compressions,
      LocalFile,

      SnapshotsDump,
      StandardOutput,
      Storage,
      StorageConfigured
    } = yield* load(parts)
    const options = { name, dbi, format: format === "json" ? "json" : "text" } as const
    if (local) {
      const printed = StandardOutput.write(SnapshotsDump.lines(options, LocalFile.read(name)))
      return yield* Command.withoutSettings(global, Effect.provide(Effect.as(printed, 0), Compressions.layer))
    }
    return yield* Command.once(
      { global },
      Storage.Storage.use(({ load }) => StandardOutput.write(SnapshotsDump.lines(options, load(name)))).pipe(
        Effect.as(0),
        Effect.provide([StorageConfigured.readOnly, Compressions.layer])
      )
    )
  })
})
