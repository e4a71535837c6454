/**
 * Deltas between real daemons, each beside an application in a process of its own: one changed record among many
 * travels in a kilobyte, those who read full snapshots alone get it, too, and a kill -9 at any moment loses nothing.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import {
  arrives,
  converge,
  isSent,
  makeBucket,
  makeSide,
  type Mode,
  records,
  recordsOf
} from "../../support/DeltaSide.ts"
import { describeWith } from "../../support/servers/RealServers.ts"
import { bucketOf } from "../../support/servers/SwiftBucket.ts"
import { Swift } from "../../support/servers/Swift.ts"
import * as Versitygw from "../../support/servers/Versitygw.ts"
import { Choices } from "../../simulation/Choices.ts"

/** A change of each side of a pair is a small delta, which the other merges. */
const exchange = Effect.fnUntraced(function* (mode: Mode, storage: object) {
  const here = yield* makeSide({ instance: "here", mode, storage, entries: recordsOf("here") })
  const there = yield* makeSide({ instance: "there", mode, storage, entries: recordsOf("there") })
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
          const here = yield* makeSide({ instance: "here", mode, storage, entries: recordsOf("here") })
          const there = yield* makeSide({ instance: "there", mode, storage })
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
          yield* converge(here, there)
        }),
      180_000
    )
  }

  it.effect("those who read full snapshots alone have them at once, and followers of deltas do not load them", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, storage } = yield* makeBucket()
      const here = yield* makeSide({ instance: "here", mode: "native", storage, entries: recordsOf("here") })
      const there = yield* makeSide({ instance: "there", mode: "native", storage })
      // It says that it reads none, as Lightning Stream does.
      const original = yield* makeSide({
        instance: "original",
        mode: "native",
        storage,
        entries: [["o", "v"]],
        settings: { delta_snapshots: "never" }
      })
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
      const reader = yield* makeSide({ instance: "reader", mode: "native", storage: fulls.storage })
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
        const here = yield* makeSide({ instance: "here", mode: "native", storage, entries: recordsOf("here") })
        const there = yield* makeSide({ instance: "there", mode: "native", storage })
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
