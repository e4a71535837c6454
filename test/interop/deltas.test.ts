/**
 * Deltas between real daemons, each beside an application in a process of its own: one changed record among many
 * travels in a kilobyte, those who read full snapshots alone get it, too, and a kill -9 at any moment loses nothing.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { isDeepStrictEqual } from "node:util"
import { hex, megabyte, native } from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"
import { Swift } from "../support/servers/Swift.ts"
import * as Versitygw from "../support/servers/Versitygw.ts"
import { Choices } from "../simulation/Choices.ts"

type Mode = "native" | "shadow"

const mapSize = 16 * megabyte
const records = 400

const text = (bytes: string) => Buffer.from(bytes, "hex").toString()

/** Of the instance's own, so that all differ, and no compression makes them small. */
const recordsOf = (instance: string) => {
  const choices = new Choices(instance.charCodeAt(0))
  return Array.from({ length: records }, (_, i) => [`${instance}-${i}`, String(choices.next())] as const)
}

/** An application with its records, if it has any, and how a daemon is started beside it. */
const makeSide = Effect.fnUntraced(function* (
  instance: string,
  mode: Mode,
  storage: object,
  entries: ReadonlyArray<readonly [key: string, value: string]> = [],
  settings: object = {}
) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped({ prefix: `deltas-${instance}-` })}/main.lmdb`
  const application = yield* LmdbApplication.make({ path, mapSize })
  yield* application.write({ do: "create", dbi: "records", flags: 0 })
  let time = 1n
  const step = (key: string, value: string): LmdbApplication.Step => ({
    do: "put",
    dbi: "records",
    key: hex(key),
    value: mode === "native" ? native(value, time++) : hex(value)
  })
  if (entries.length > 0) yield* application.write(...entries.map(([key, value]) => step(key, value)))
  const file = mode === "native" ? Daemon.nativeFile(path) : Daemon.shadowFile(path)
  const list = Effect.map(application.send({ do: "list", dbi: "records" }), ({ entries }) => {
    return new Map(entries.map(([key, value]) => [text(key), text(mode === "native" ? value.slice(48) : value)]))
  })
  return {
    instance,
    application,
    put: (key: string, value: string) => application.write(step(key, value)),
    remove: (key: string) => application.write({ do: "remove", dbi: "records", key: hex(key) }),
    start: Daemon.start({
      args: ["sync"],
      config: { ...Daemon.quick, instance, lmdbs: { main: file }, storage, ...settings }
    }),
    list
  }
})

type Side = Effect.Success<ReturnType<typeof makeSide>>

const arrives = ({ instance, list }: Side, key: string, value: string) =>
  eventually(
    `${key} = ${value} arrives at ${instance}`,
    Effect.map(list, (found) => (found.get(key) === value ? value : undefined)),
    () => ""
  )

const isSent = (kind: "snapshot" | "delta") => (line: Daemon.LogLine) => line["snapshot_kind"] === kind

const makeBucket = Effect.fnUntraced(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "deltas-bucket-" })
  return { directory, storage: Daemon.folderBucket(directory) }
})

/** A change of each side of a pair is a small delta, which the other merges. */
const exchange = Effect.fnUntraced(function* (mode: Mode, storage: object) {
  const here = yield* makeSide("here", mode, storage, recordsOf("here"))
  const there = yield* makeSide("there", mode, storage, recordsOf("there"))
  const daemons = [yield* here.start, yield* there.start] as const
  yield* arrives(here, "there-7", new Map(recordsOf("there")).get("there-7")!)
  yield* arrives(there, "here-7", new Map(recordsOf("here")).get("here-7")!)
  // The first snapshots were of one side's records: deltas with those of the other may be as large as they.
  for (const [side, other, daemon, receiver] of [
    [here, there, ...daemons],
    [there, here, daemons[1], daemons[0]]
  ] as const) {
    yield* side.put(`${side.instance}-8`, "first")
    yield* arrives(other, `${side.instance}-8`, "first")
    const from = { sender: daemon.log.length, receiver: receiver.log.length }
    yield* side.put(`${side.instance}-9`, "changed")
    yield* arrives(other, `${side.instance}-9`, "changed")
    const sent = yield* daemon.logged("Stored snapshot", isSent("delta"), from.sender)
    assert.strictEqual(sent["entries"], 1)
    assert.isAtMost(Number(sent["snapshot_size"]), 1_000)
    yield* receiver.logged("Loaded remote update", (line) => line["entries_read"] === 1, from.receiver)
  }
  assert.deepStrictEqual(yield* here.list, yield* there.list)
  assert.strictEqual((yield* here.list).size, 2 * records)
  for (const daemon of daemons) {
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.ended, 0, daemon.text())
  }
})

layer(NodeServices.layer, { excludeTestServices: true })("deltas between real daemons", (it) => {
  for (const mode of ["native", "shadow"] as const) {
    it.effect(`one changed record travels in a kilobyte, ${mode} mode`, () =>
      Effect.gen(function* () {
        yield* exchange(mode, (yield* makeBucket()).storage)
      })
    )

    it.effect(
      `a daemon that is killed again and again while it sends loses nothing, ${mode} mode`,
      () =>
        Effect.gen(function* () {
          const { storage } = yield* makeBucket()
          const choices = new Choices(7)
          const here = yield* makeSide("here", mode, storage, recordsOf("here"))
          const there = yield* makeSide("there", mode, storage)
          yield* there.start
          for (let round = 0; round < 2; round++) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const daemon = yield* here.start
                yield* daemon.logged("Initial sync complete")
                for (let change = 0; change < 6; change++) {
                  yield* here.put(`here-${choices.below(records)}`, `${round} ${change}`)
                  yield* here.put(`round-${round}`, String(change))
                  // The polls are 100 ms apart, and a send takes some: at any moment of it.
                  yield* Effect.sleep(`${choices.below(160)} millis`)
                }
                yield* daemon.signal("SIGKILL")
                yield* daemon.ended
              })
            )
          }
          yield* here.start
          yield* here.put("last", "one")
          yield* arrives(there, "last", "one")
          const all = yield* here.list
          yield* eventually(
            "all arrives",
            Effect.map(there.list, (found) => (isDeepStrictEqual(found, all) ? found : undefined)),
            () => ""
          )
        }),
      180_000
    )
  }

  it.effect("those who read full snapshots alone have them at once, and followers of deltas do not load them", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, storage } = yield* makeBucket()
      const here = yield* makeSide("here", "native", storage, recordsOf("here"))
      const there = yield* makeSide("there", "native", storage)
      // It says that it reads none, as Lightning Stream does.
      const original = yield* makeSide("original", "native", storage, [["o", "v"]], { delta_snapshots: "never" })
      const [sender, receiver] = [yield* here.start, yield* there.start, yield* original.start]
      yield* arrives(there, "o", "v")
      yield* arrives(here, "o", "v")
      yield* here.put("here-7", "changed")
      yield* arrives(there, "here-7", "changed")
      const delta = String((yield* sender.logged("Stored snapshot", isSent("delta")))["snapshot_name"])
      const name = delta.replace(/__F.*/, "__D1.pb.gz")
      yield* sender.logged("Stored snapshot", (line) => line["snapshot_name"] === name)
      // What an original sees of the bucket, which lists no deltas.
      const fulls = yield* makeBucket()
      for (const object of yield* fs.readDirectory(directory))
        if (object.endsWith(".pb.gz")) yield* fs.copyFile(`${directory}/${object}`, `${fulls.directory}/${object}`)
      const reader = yield* makeSide("reader", "native", fulls.storage)
      yield* reader.start
      yield* arrives(reader, "here-7", "changed")
      yield* here.put("here-8", "later")
      yield* arrives(there, "here-8", "later")
      assert.isUndefined(receiver.log.find((line) => line["snapshot_name"] === name && line.msg.includes("ownloaded")))
    })
  )

  it.effect(
    "a record that the application removes without a tombstone stays with the others, and nothing else is lost",
    () =>
      Effect.gen(function* () {
        const { storage } = yield* makeBucket()
        const here = yield* makeSide("here", "native", storage, recordsOf("here"))
        const there = yield* makeSide("there", "native", storage)
        const daemon = yield* here.start
        yield* there.start
        yield* arrives(there, "here-399", new Map(recordsOf("here")).get("here-399")!)
        yield* here.remove("here-3")
        yield* here.put("here-4", "changed")
        yield* arrives(there, "here-4", "changed")
        yield* here.put("here-5", "changed")
        yield* arrives(there, "here-5", "changed")
        assert.strictEqual((yield* there.list).size, records)
        yield* daemon.logged("Stored snapshot", isSent("delta"))
      })
  )
})

const found = await Versitygw.installed()

describe("deltas over S3", () => {
  describeWith("versitygw", found, (directory) => {
    layer(NodeServices.layer, { excludeTestServices: true })((it) => {
      for (const mode of ["native", "shadow"] as const) {
        it.effect(`one changed record travels in a kilobyte, ${mode} mode`, () =>
          Effect.gen(function* () {
            const server = yield* Versitygw.makeDurable(directory)
            yield* server.start
            const storage = yield* bucketOf(`deltas-${mode}`).pipe(Effect.provideService(Swift, server.swift))
            yield* exchange(mode, storage)
          })
        )
      }
    })
  })
})
