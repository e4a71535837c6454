/**
 * `node bench/generate.ts --path FILE --domains N [--seed S]` writes a native LMDB that resembles one of PowerDNS, with
 * 8 N entries and two settings. With `--domains 0` it has no DBIs, and with `--plain` no native headers (for shadow
 * mode). `--change K` gives K records of a file that was written earlier with the same `--domains` a newer time and
 * another value.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Dataset from "./Dataset.ts"
import { entriesPerDomain } from "./PdnsEntries.ts"

const flags = {
  path: Flag.String("path").pipe(Flag.withDescription("The data file, which is made if there is none")),
  domains: Flag.Int("domains").pipe(Flag.withDescription("8 entries each")),
  plain: Flag.Boolean("plain").pipe(Flag.withDescription("Values without native headers"), Flag.withDefault(false)),
  seed: Flag.Int("seed").pipe(Flag.withDefault(1)),
  change: Flag.Int("change").pipe(Flag.withDescription("Change so many records instead"), Flag.optional)
}

Command.make(
  "generate",
  flags,
  Effect.fn(function* ({ change, domains, path, plain, seed }) {
    const begin = performance.now()
    const done = Option.match(change, {
      onNone: () => {
        Dataset.write(path, domains, seed, plain)
        return `wrote ${domains * entriesPerDomain} entries`
      },
      onSome: (count) => `changed ${Dataset.change(path, domains, count)} entries`
    })
    yield* Console.log(`${path}: ${done} in ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  })
).pipe(Command.run({ version: "1" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
