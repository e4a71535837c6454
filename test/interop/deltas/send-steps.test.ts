/**
 * `kill -9` between any two steps of a send, and stores that fail there: whatever of a delta, a full snapshot, their
 * update markers and the state in memory is done and not done, nothing is lost, and a peer that follows the deltas and
 * one that is new have everything.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, FileSystem } from "effect"
import * as NanoTimestamp from "../../../src/domain/snapshot/NanoTimestamp.ts"
import { hex, native } from "../../support/Application.ts"
import { converge, type Mode, recordsOf } from "../../support/DeltaSide.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"
import { object } from "../../support/fixtures/Snapshots.ts"
import { stepsOf, type SteppedOptions, storeSteps } from "../../support/steps/SendSteps.ts"
import * as SteppedDaemon from "../../support/steps/SteppedDaemon.ts"

const text = (bytes: string) => Buffer.from(bytes, "hex").toString()

/** An application with an LMDB of its own. */
const makeApplication = Effect.fnUntraced(function* (path: string, mode: Mode) {
  const application = yield* LmdbApplication.make({ path, mapSize: 2 ** 24 })
  let time = 1n
  const put = (entries: ReadonlyArray<readonly [key: string, value: string]>) =>
    application.write(
      ...entries.map(([key, value]) => ({
        do: "put" as const,
        dbi: "records",
        key: hex(key),
        value: mode === "native" ? native(value, time++) : hex(value)
      }))
    )
  yield* application.write({ do: "create", dbi: "records", flags: 0 })
  return {
    put,
    list: Effect.map(
      application.send({ do: "list", dbi: "records" }),
      ({ entries }) =>
        new Map(entries.map(([key, value]) => [text(key), text(mode === "native" ? value.slice(48) : value)]))
    )
  }
})

/** A sender with records and a peer, which runs all the time, on one bucket. */
const makeFleet = Effect.fnUntraced(function* (mode: Mode, common: Pick<SteppedOptions, "action" | "deltaSnapshots">) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "send-steps-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const optionsOf = (instance: string): SteppedOptions => ({
    ...common,
    bucket,
    path: `${directory}/${instance}.lmdb`,
    mode,
    instance,
    receiveOnly: instance !== "here",
    step: undefined,
    armFile: `${directory}/armed`
  })
  const make = (instance: string) => makeApplication(optionsOf(instance).path, mode)
  const here = yield* make("here")
  yield* here.put(recordsOf("here").slice(0, 200))
  const there = yield* make("there")
  const peer = yield* SteppedDaemon.start(optionsOf("there"))
  return {
    here,
    there,
    peer,
    make,
    bucket,
    start: (options: Partial<SteppedOptions> & Pick<SteppedOptions, "instance">) =>
      SteppedDaemon.start({ ...optionsOf(options.instance), ...options }),
    arm: fs.writeFileString(`${directory}/armed`, ""),
    disarm: fs.remove(`${directory}/armed`, { force: true })
  }
})

/** A new receiver has the same from the bucket alone. */
const checkNewcomer = Effect.fnUntraced(function* (fleet: Effect.Success<ReturnType<typeof makeFleet>>) {
  const newcomer = yield* fleet.make("new")
  yield* fleet.start({ instance: "new" })
  yield* converge(fleet.here, newcomer)
})

const problemsOf = ({ lines }: SteppedDaemon.SteppedDaemon) =>
  lines.filter(({ message }) => message.includes("quarantined") || message.includes("is missing"))

layer(NodeServices.layer, { excludeTestServices: true })("a send that is ended between two of its steps", (it) => {
  for (const mode of ["native", "shadow"] as const) {
    it.effect(
      `by kill -9 loses nothing, ${mode} mode`,
      () =>
        Effect.gen(function* () {
          const fleet = yield* makeFleet(mode, { action: "kill", deltaSnapshots: "auto" })
          const fs = yield* FileSystem.FileSystem
          // An instance that reads no deltas, so that each delta is followed by a full snapshot at once.
          const name = `main__original__${NanoTimestamp.format(yield* Clock.currentTimeNanos)}__GX.pb.gz`
          yield* fs.writeFile(`${fleet.bucket}/${name}`, object({ records: [["original", 1, "v"]] }))
          for (const step of [...stepsOf(mode), undefined])
            yield* Effect.scoped(
              Effect.gen(function* () {
                const sender = yield* fleet.start({ instance: "here", step })
                yield* sender.logged("Initial sync complete")
                // What the application has written while no daemon was running.
                yield* converge(fleet.here, fleet.there)
                assert.deepStrictEqual(problemsOf(sender), [], step)
                if (step === undefined) return
                yield* fleet.arm
                yield* fleet.here.put([
                  ["here-7", `at ${step}`],
                  [`new at ${step}`, "v"]
                ])
                assert.strictEqual(yield* sender.ended, "SIGKILL", `${step}\n${sender.text()}`)
                yield* fleet.disarm
                yield* fleet.here.put([["here-8", `after ${step}`]])
              })
            ).pipe(Effect.annotateLogs({ step }))
          yield* checkNewcomer(fleet)
          assert.deepStrictEqual(problemsOf(fleet.peer), [])
        }),
      300_000
    )
  }

  it.effect(
    "by a store that fails is continued from the last object that is stored",
    () =>
      Effect.gen(function* () {
        const fleet = yield* makeFleet("native", { action: "fail", deltaSnapshots: "always" })
        for (const step of storeSteps.filter((step) => step.includes("delta") && !step.includes("recorded")))
          yield* Effect.scoped(
            Effect.gen(function* () {
              const sender = yield* fleet.start({ instance: "here", step })
              yield* sender.logged("Initial sync complete")
              yield* fleet.here.put([["here-6", `first at ${step}`]])
              yield* converge(fleet.here, fleet.there)
              yield* fleet.arm
              // While the store fails, there is something newer to send.
              yield* fleet.here.put([["here-7", `at ${step}`]])
              yield* sender.logged("Failing a store")
              yield* fleet.here.put([["here-8", `after ${step}`]])
              yield* converge(fleet.here, fleet.there)
              yield* fleet.here.put([["here-9", `at the end of ${step}`]])
              yield* converge(fleet.here, fleet.there)
              yield* fleet.disarm
              assert.deepStrictEqual(problemsOf(sender), [], step)
              const kinds = sender.lines
                .filter(({ message }) => message === "Stored snapshot")
                .map(({ fields }) => fields["snapshot_kind"])
              assert.deepStrictEqual(new Set(kinds.slice(1)), new Set(["delta"]), sender.text())
            })
          )
        yield* checkNewcomer(fleet)
        assert.deepStrictEqual(problemsOf(fleet.peer), [])
      }),
    300_000
  )
})
