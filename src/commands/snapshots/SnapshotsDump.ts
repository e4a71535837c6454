/** `snapshots dump` prints an object of the bucket, or a local file, which needs no configuration. */
import { Effect, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import type { Bytes } from "../../domain/bytes/Bytes.ts"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, oneOf, optional, text, toggle } from "../cli/Flags.ts"
import { load } from "../cli/Load.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  Compressions: import("../../layers/compression/Compressions.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  Progress: import("../../services/Progress.ts"),
  ProgressTerminal: import("../../layers/process/ProgressTerminal.ts"),
  SnapshotsDump: import("../../programs/snapshots/SnapshotsDump.ts"),
  StandardOutput: import("../../layers/process/StandardOutput.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts")
})

export const snapshotsDump = defineCommand({
  name: "dump",
  summary: "Print the contents of a snapshot",
  details: `
The snapshot is printed while it is being read, so it may be larger than the
memory. The bucket is only read. A corrupt snapshot is printed as far as it
can be read. Then an error on standard error gives the offset in bytes, and
the exit code is 1. If the name ends in .zst, the snapshot is decompressed
with zstd, otherwise with gzip.

The text format prints the versions and the metadata as indented JSON, and
then for each DBI:

    ### records (transform="", flags="MDB_INTEGERKEY")

    example.org A  =  . [00]  (2023-11-14T22:13:20.000000001Z, 1h2m3s ago; flags=00)

Bytes are printed as ASCII, with "." for bytes that are not printable. They
are followed by all bytes in hexadecimal, such as [00 ff], if some of them are
not printable, if there are at most 8 bytes, or if the first 8 bytes are a
time in nanoseconds between 2022 and 30 days from now. In the last case, that
time follows as well. The flags of an entry are printed in hexadecimal as they
are stored: 01 is a tombstone.

The json format prints one object per line: the snapshot, and then each DBI
followed by its entries, in the order in which they are stored. 64-bit numbers
are decimal strings, and bytes are lower-case hexadecimal. If the name of a
DBI is not valid UTF-8, it is printed in hexadecimal as dbiHex.

    {"snapshot":{"formatVersion":3,"compatVersion":1,"generationID":"GX", …}}
    {"dbi":"records_v5","flags":0,"transform":""}
    {"key":"00000001","value":"c0000201","timestampNano":"1700000000000000001","flags":0}
`,
  examples: [
    {
      command: "lightningstream snapshots dump main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a snapshot in the bucket"
    },
    {
      command: "lightningstream snapshots dump --local --format json main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Print a local file as JSON, one object per line"
    }
  ],
  params: {
    name: Argument.String("name").pipe(
      Argument.withDescription("Name of an object, or with --local the path of a file"),
      Argument.withMetavar("NAME")
    ),
    dbi: text("dbi", "NAME").pipe(
      Flag.withAlias("d"),
      about("Print only this DBI, by its exact name; the exit code is 1 if it does not exist"),
      optional
    ),
    local: toggle("local").pipe(Flag.withAlias("l"), about("Read the local file NAME; no configuration is needed")),
    format: oneOf("format", ["debug", "text", "json"]).pipe(
      Flag.withAlias("f"),
      about("Output format: text (the default, also called debug) or json")
    )
  },
  run: Effect.fnUntraced(function* ({ dbi, format, local, name }, global) {
    const {
      Command,
      Compressions,
      LocalFile,
      Progress,
      ProgressTerminal,
      SnapshotsDump,
      StandardOutput,
      Storage,
      StorageConfigured
    } = yield* load(parts)
    const options = { name, dbi, format: format === "json" ? "json" : "text" } as const
    const write = Effect.fnUntraced(function* <E, R>(bytes: Stream.Stream<Bytes, E, R>, size: number | undefined) {
      const { measure } = yield* Progress.Progress
      // The bytes are read twice.
      const total = size === undefined ? undefined : 2 * size
      const meter = yield* measure({ label: `Dumping ${name}`, unit: "bytes", total })
      const metered = Stream.tap(bytes, (chunk) => Effect.sync(() => meter.add(chunk.length)))
      yield* StandardOutput.write(SnapshotsDump.lines(options, metered))
      return 0
    }, Effect.scoped)
    // On a terminal, the text itself shows the progress.
    const shown = <E, R>(printed: Effect.Effect<number, E, R>) =>
      process.stdout.isTTY ? Effect.provide(printed, ProgressTerminal.silent) : printed
    if (local) {
      const printed = Effect.flatMap(LocalFile.sizeOf(name), (size) => write(LocalFile.read(name), size))
      return yield* Command.withoutSettings(global, Effect.provide(shown(printed), Compressions.layer))
    }
    const printed = Effect.gen(function* () {
      const { list, load } = yield* Storage.Storage
      // The permission to list the bucket is not required.
      const objects = yield* Effect.orElseSucceed(list(name), () => [])
      return yield* write(load(name), objects.find((object) => object.name === name)?.size)
    })
    return yield* Command.once(
      { global },
      Effect.provide(shown(printed), [StorageConfigured.readOnly, Compressions.layer])
    )
  })
})
