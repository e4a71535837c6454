/**
 * Two real daemons in shadow mode over a directory, each beside an application in a process of its own that knows
 * nothing of headers.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { hex, megabyte } from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"

const DUPSORT = 4

type Pairs = ReadonlyArray<readonly [key: string, value: string]>

const text = (bytes: string) => Buffer.from(bytes, "hex").toString()

const put = (dbi: string, pairs: Pairs) =>
  pairs.map(([key, value]): LmdbApplication.Step => ({ do: "put", dbi, key: hex(key), value: hex(value) }))
const remove = (dbi: string, ...keys: ReadonlyArray<string>) =>
  keys.map((key): LmdbApplication.Step => ({ do: "remove", dbi, key: hex(key) }))

/** An application, and how its daemon is started. */
const makeSide = Effect.fnUntraced(function* (name: string, bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped({ prefix: `shadow-${name}-` })}/main.lmdb`
  const application = yield* LmdbApplication.make({ path, mapSize: megabyte })
  yield* application.write({ do: "create", dbi: "plain", flags: 0 }, { do: "create", dbi: "pairs", flags: DUPSORT })
  const start = Daemon.start({
    args: ["sync"],
    config: {
      ...Daemon.quick,
      instance: name,
      lmdbs: { main: { ...Daemon.nativeFile(path), schema_tracks_changes: false, dupsort_hack: true } },
      storage: Daemon.folderBucket(bucket)
    }
  })
  const list = (dbi: string) =>
    Effect.map(application.send({ do: "list", dbi }), ({ entries }) =>
      entries.map(([key, value]) => `${text(key)}=${text(value)}`)
    )
  return { application, start, list, content: Effect.all({ plain: list("plain"), pairs: list("pairs") }) }
})

type Side = Effect.Success<ReturnType<typeof makeSide>>

interface Content {
  readonly plain: ReadonlyArray<string>
  readonly pairs: ReadonlyArray<string>
}

/** Until all applications read that. */
const untilAll = (expected: Content, ...sides: ReadonlyArray<Side>) => {
  let seen = ""
  return eventually(
    `all have ${JSON.stringify(expected)}`,
    Effect.map(
      Effect.forEach(sides, ({ content }) => content),
      (contents) => {
        seen = JSON.stringify(contents)
        return contents.every((content) => JSON.stringify(content) === JSON.stringify(expected)) ? true : undefined
      }
    ),
    () => seen
  )
}

const makePair = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const bucket = yield* fs.makeTempDirectoryScoped({ prefix: "shadow-bucket-" })
  return yield* Effect.all([makeSide("here", bucket), makeSide("there", bucket)])
})

layer(NodeServices.layer, { excludeTestServices: true })("shadow mode, two real daemons", (it) => {
  it.effect("converge both ways: writes, empty values, pairs, and deletions; then nobody sends any more", () =>
    Effect.gen(function* () {
      const [here, there] = yield* makePair
      yield* here.application.write(
        ...put("plain", [
          ["a", "1"],
          ["b", ""]
        ]),
        ...put("pairs", [
          ["k", "x"],
          ["k", "y"]
        ])
      )
      yield* there.application.write(
        ...put("plain", [["c", "1"]]),
        ...put("pairs", [
          ["k", "z"],
          ["l", "z"]
        ])
      )
      const daemons = yield* Effect.all([here.start, there.start])
      yield* untilAll({ plain: ["a=1", "b=", "c=1"], pairs: ["k=x", "k=y", "k=z", "l=z"] }, here, there)
      yield* here.application.write(...remove("plain", "c"), ...remove("pairs", "l"), ...put("pairs", [["k", "w"]]))
      yield* untilAll({ plain: ["a=1", "b="], pairs: ["k=w", "k=x", "k=y", "k=z"] }, here, there)
      yield* there.application.write(
        ...remove("pairs", "k"),
        ...put("plain", [
          ["a", ""],
          ["b", "2"]
        ])
      )
      yield* untilAll({ plain: ["a=", "b=2"], pairs: [] }, here, there)
      const sent = () => daemons.map(({ log }) => log.filter(({ msg }) => msg === "Stored snapshot").length)
      // The last change is stored, and came back to nobody.
      const [first, second] = sent()
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(sent(), [first, second])
      for (const daemon of daemons) {
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
      }
    })
  )

  it.effect(
    "what happens while a daemon is down: new keys stay, changes win, and a deletion that others still have comes back",
    () =>
      Effect.gen(function* () {
        const [here, there] = yield* makePair
        const first = yield* here.start
        yield* there.start
        yield* first.logged("Syncing")
        yield* here.application.write(
          ...put("plain", [
            ["a", "1"],
            ["b", "1"],
            ["c", "1"]
          ])
        )
        yield* untilAll({ plain: ["a=1", "b=1", "c=1"], pairs: [] }, here, there)
        yield* first.signal("SIGTERM")
        assert.strictEqual(yield* first.ended, 0)
        yield* here.application.write(
          ...put("plain", [
            ["a", "2"],
            ["d", "1"]
          ]),
          ...remove("plain", "b")
        )
        yield* there.application.write(...put("plain", [["e", "1"]]), ...remove("plain", "c"))
        yield* here.start
        yield* untilAll({ plain: ["a=2", "b=1", "d=1", "e=1"], pairs: [] }, here, there)
      })
  )

  it.effect("a daemon that is killed goes on where it was", () =>
    Effect.gen(function* () {
      const [here, there] = yield* makePair
      yield* there.start
      let expected: Content = { plain: [], pairs: [] }
      for (let round = 0; round < 3; round++) {
        const daemon = yield* here.start
        yield* daemon.logged("Initial sync complete")
        yield* here.application.write(
          ...put("plain", [
            ["round", `${round}`],
            [`here-${round}`, "1"]
          ]),
          ...put("pairs", [["k", `here-${round}`]])
        )
        yield* there.application.write(...put("plain", [[`there-${round}`, "1"]]))
        // In the middle of whatever it does.
        yield* Effect.sleep(round * 150)
        yield* daemon.signal("SIGKILL")
        assert.strictEqual(yield* daemon.ended, 137)
        expected = {
          plain: [
            ...expected.plain.filter((line) => !line.startsWith("round")),
            `here-${round}=1`,
            `there-${round}=1`,
            `round=${round}`
          ].toSorted(),
          pairs: [...expected.pairs, `k=here-${round}`]
        }
      }
      yield* here.start
      yield* untilAll(expected, here, there)
    })
  )
})
