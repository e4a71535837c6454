/**
 * What all this is for: two PowerDNS servers, each with its two LMDBs and our daemon beside it, on Swift. Changes are
 * made by pdnsutil, and seen by DNS queries and by dumps of stock LMDB.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { isDeepStrictEqual } from "node:util"
import { contentOf } from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import { describeWith, type Installed } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const pdns = await Pdns.installed()
const swift = await Swift.installed()
/** Both, or the reason why not. */
const installed: Installed = swift._tag === "Missing" ? swift : pdns
const tools = pdns._tag === "Installed" ? pdns.directory : ""
const pdns5 = await Pdns.installed5()

/** The databases as the README has them: the shard is made by whoever comes first. */
const startDaemon = Effect.fnUntraced(function* (instance: string, bucket: string, server: Pdns.Pdns) {
  return yield* Daemon.start({
    args: ["sync"],
    config: {
      ...Daemon.quick,
      instance,
      lmdbs: {
        main: Daemon.nativeFile(server.domains),
        shard: Daemon.nativeFile(server.records, { create: true, map_size: `${Pdns.mapSizeMiB}MB` })
      },
      storage: yield* bucketOf(bucket)
    }
  })
})

const startSide = Effect.fnUntraced(function* (instance: string, bucket: string, installedIn: string) {
  const server = yield* Pdns.start(installedIn)
  return { ...server, instance, bucket, daemon: yield* startDaemon(instance, bucket, server) }
})

type Side = Effect.Success<ReturnType<typeof startSide>>

/** One after the other: both at once would only be slower on two cores. */
const startBoth = (bucket: string, installedIn = tools) =>
  Effect.all([startSide("ns1", bucket, installedIn), startSide("ns2", bucket, installedIn)])

const answers = (side: Side, name: string, addresses: ReadonlyArray<string>) => {
  let last: ReadonlyArray<string> = []
  return eventually(
    `${side.instance} answers ${name} with [${addresses.join()}]`,
    Effect.map(side.addresses(name), (found) => {
      last = found
      return isDeepStrictEqual(found, addresses) ? found : undefined
    }),
    () => `[${last.join()}]\n${side.daemon.text()}`
  )
}

/** Every key, timestamp, flag and value of both LMDBs. */
const contents = (side: Side) =>
  Effect.all([Pdns.mdbDump(tools, side.domains), Pdns.mdbDump(tools, side.records)]).pipe(
    Effect.map(([domains, records]) => ({ domains: contentOf(domains), records: contentOf(records) }))
  )

const becomesEqual = (a: Side, b: Side) =>
  eventually(
    "both sides hold the same",
    Effect.map(Effect.all([contents(a), contents(b)]), ([left, right]) =>
      isDeepStrictEqual(left, right) ? left : undefined
    ),
    () => `${a.daemon.text()}\n---\n${b.daemon.text()}`
  )

/** Of pdnsutil. */
interface Commands {
  readonly making: ReadonlyArray<string>
  readonly removingRecord: string
  readonly removing: string
}

const comesAndGoes = Effect.fnUntraced(function* (
  bucket: string,
  installedIn: string,
  { making, removing, removingRecord }: Commands
) {
  const [ns1, ns2] = yield* startBoth(bucket, installedIn)
  for (const command of making) yield* ns1.pdnsutil(...command.split(" "))
  yield* answers(ns2, "www.example.org", ["192.0.2.1"])
  yield* answers(ns2, "mail.example.org", ["192.0.2.2"])
  yield* ns1.pdnsutil(...removingRecord.split(" "))
  yield* answers(ns2, "www.example.org", [])
  yield* answers(ns2, "mail.example.org", ["192.0.2.2"])
  yield* ns1.pdnsutil(...removing.split(" "))
  yield* answers(ns2, "mail.example.org", [])
  yield* becomesEqual(ns1, ns2)
})

const of4: Commands = {
  making: [
    "create-zone example.org ns1.example.org",
    "add-record example.org www A 192.0.2.1",
    "add-record example.org mail A 192.0.2.2"
  ],
  removingRecord: "delete-rrset example.org www A",
  removing: "delete-zone example.org"
}

const of5: Commands = {
  making: [
    "zone create example.org ns1.example.org",
    "rrset add example.org www.example.org A 192.0.2.1",
    "rrset add example.org mail.example.org A 192.0.2.2"
  ],
  removingRecord: "rrset delete example.org www.example.org A",
  removing: "zone delete example.org"
}

const versions = [
  { version: "4.9", bucket: "zone-4", installedIn: tools, commands: of4 },
  { version: "5.1", bucket: "zone-5", installedIn: pdns5._tag === "Installed" ? pdns5.directory : "", commands: of5 }
]

describeWith("two PowerDNS servers on Swift", pdns5._tag === "Missing" ? pdns5 : installed, () => {
  const services = Swift.layer(swift._tag === "Installed" ? swift.directory : "").pipe(
    Layer.provideMerge(NodeServices.layer)
  )

  layer(services, { excludeTestServices: true })((it) => {
    for (const { bucket, commands, installedIn, version } of versions) {
      it.effect(
        `${version}: a zone made at one is answered by the other, a deleted record no more, a deleted zone neither`,
        () => comesAndGoes(bucket, installedIn, commands),
        120_000
      )
    }

    it.effect(
      "both directions: each answers the zone of the other, and changes of both to one zone meet",
      () =>
        Effect.gen(function* () {
          const [ns1, ns2] = yield* startBoth("directions")
          yield* Effect.all([
            ns1.pdnsutil("create-zone", "one.example", "ns1.one.example"),
            ns2.pdnsutil("create-zone", "two.example", "ns1.two.example")
          ])
          yield* ns1.pdnsutil("add-record", "one.example", "www", "A", "192.0.2.1")
          yield* ns2.pdnsutil("add-record", "two.example", "www", "A", "192.0.2.2")
          yield* answers(ns2, "www.one.example", ["192.0.2.1"])
          yield* answers(ns1, "www.two.example", ["192.0.2.2"])
          // Each changes the zone of the other.
          yield* ns2.pdnsutil("replace-rrset", "one.example", "www", "A", "192.0.2.3")
          yield* ns1.pdnsutil("add-record", "two.example", "mail", "A", "192.0.2.4")
          yield* answers(ns1, "www.one.example", ["192.0.2.3"])
          yield* answers(ns2, "mail.two.example", ["192.0.2.4"])
          yield* becomesEqual(ns1, ns2)
        }),
      120_000
    )

    it.effect(
      "10 changes in a row end equal on both sides, with the timestamps of the side that made them",
      () =>
        Effect.gen(function* () {
          const [ns1, ns2] = yield* startBoth("ten")
          yield* ns1.pdnsutil("create-zone", "example.org", "ns1.example.org")
          yield* ns1.pdnsutil("add-record", "example.org", "start", "A", "192.0.2.1")
          yield* answers(ns2, "start.example.org", ["192.0.2.1"])
          yield* becomesEqual(ns1, ns2)
          for (const [i, command] of [
            "add-record",
            "add-record",
            "replace-rrset",
            "delete-rrset",
            "add-record"
          ].entries()) {
            const data = command === "delete-rrset" ? [] : [`192.0.2.${100 + i}`]
            yield* ns1.pdnsutil(command, "example.org", "www", "A", ...data)
            yield* ns1.pdnsutil("replace-rrset", "example.org", "start", "A", `192.0.2.${10 + i}`)
          }
          const made = yield* contents(ns1)
          yield* answers(ns2, "www.example.org", ["192.0.2.104"])
          yield* answers(ns2, "start.example.org", ["192.0.2.14"])
          assert.deepStrictEqual(yield* becomesEqual(ns1, ns2), made)
        }),
      120_000
    )

    it.effect(
      "daemons that are killed with -9 among changes lose nothing: after a restart both sides are equal",
      () =>
        Effect.gen(function* () {
          const [ns1, ns2] = yield* startBoth("killed")
          yield* ns1.pdnsutil("create-zone", "example.org", "ns1.example.org")
          const sides = [ns1, ns2]
          const names = ["a", "b", "c", "d", "e", "f"].map((letter) => `${letter}.example.org`)
          for (const [round, name] of names.entries()) {
            const side = sides[round % 2]!
            const record = name.slice(0, 1)
            // At first ns2 does not have the zone.
            yield* (round < 2 ? ns1 : side).pdnsutil("add-record", "example.org", record, "A", `192.0.2.${round}`)
            if (round < 2) yield* answers(ns2, name, [`192.0.2.${round}`])
            if (round < 2 || round > 3) continue
            // In whatever it is doing: one that has just been given work.
            yield* side.daemon.signal("SIGKILL")
            assert.strictEqual(yield* side.daemon.ended, 137)
            yield* side.pdnsutil("add-record", "example.org", `while-${record}`, "A", `192.0.2.${10 + round}`)
            sides[round % 2] = { ...side, daemon: yield* startDaemon(side.instance, side.bucket, side) }
          }
          for (const side of sides) {
            for (const [round, name] of names.entries()) yield* answers(side, name, [`192.0.2.${round}`])
            yield* answers(side, "while-c.example.org", ["192.0.2.12"])
            yield* answers(side, "while-d.example.org", ["192.0.2.13"])
          }
          yield* becomesEqual(sides[0]!, sides[1]!)
        }),
      180_000
    )
  })
})
