/** Checks that the objects of the newest state of each instance in the bucket can be read to their end. */
import { Effect, Stream } from "effect"
import { Event, SnapshotReader } from "../../domain/snapshot/SnapshotReader.ts"
import { versionRefusal } from "../../domain/snapshot/SnapshotRules.ts"
import { Compression } from "../../services/Compression.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import { Storage } from "../../services/Storage.ts"
import { attempt } from "../engine/Engine.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import * as SettledListing from "../snapshots/SettledListing.ts"
import { newestStates, unreachable } from "../snapshots/StateObjects.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "snapshots"

/** Reads an object to its end and returns the number of its entries. */
const readThrough = Effect.fnUntraced(function* ({ name, object }: Snapshot, meter: Meter) {
  const storage = yield* Storage
  const compression = yield* Compression
  const reader = new SnapshotReader()
  let entries = 0
  const advance = attempt(() => {
    for (;;) {
      const event = reader.next()
      if (event === Event.Batch) entries += reader.batch.count
      else if (event === Event.NeedChunk || event === Event.End) return
    }
  })
  const compressed = Stream.tap(storage.load(object.name, object), (chunk) =>
    Effect.sync(() => meter.add(chunk.length))
  )
  yield* Stream.runForEach(compression[name.format].decompress(compressed), (chunk) =>
    Effect.andThen(
      Effect.sync(() => reader.push(chunk)),
      advance
    )
  )
  reader.finish()
  yield* advance
  return { entries, refusal: versionRefusal(reader.formatVersion, reader.compatVersion) }
})

const why = "other instances do not receive its contents, and use an older snapshot of that instance if there is one"

interface Checked {
  readonly finding: Finding
  /** True if the object was listed, but did not exist any more when it was loaded. */
  readonly hasVanished: boolean
}

const ofObject = (snapshot: Snapshot, meter: Meter) =>
  readThrough(snapshot, meter).pipe(
    Effect.map(({ entries, refusal }): Checked => ({
      finding:
        refusal === undefined
          ? ok(check, `${snapshot.name.text} is complete, ${entries} entries`)
          : error(check, `${snapshot.name.text} is refused: ${refusal}`, why, "upgrade this instance"),
      hasVanished: false
    })),
    Effect.catch((failure) => {
      const isOutage = failure._tag === "StorageError"
      const todo = isOutage
        ? "try again, and see the findings about permissions"
        : `restart the daemon of ${snapshot.name.instance}, which sends a new one at its start, and check its disk and network`
      const found = `${snapshot.name.text} ${isOutage ? "cannot be loaded" : "is corrupt"}: ${failure.message}`
      return Effect.succeed<Checked>({
        finding: (isOutage ? warning : error)(check, found, why, todo),
        hasVanished: isOutage && failure.reason._tag === "ObjectNotFound"
      })
    })
  )

const ofGap = ({ name }: Snapshot): Finding =>
  warning(
    check,
    `an object before ${name.text} is missing`,
    "other instances do not receive its contents until the next full snapshot",
    `wait for full_snapshot_interval, or restart the daemon of ${name.instance}, which sends a full snapshot at its start`
  )

/** Checks the objects that are not known yet. `known` contains findings by the names of objects, and gets the new ones. */
const checkObjects = Effect.fnUntraced(function* (
  database: string,
  objects: ReadonlyArray<Snapshot>,
  known: Map<string, Finding>
) {
  const unknown = objects.filter(({ name }) => !known.has(name.text))
  const total = unknown.reduce((sum, { object }) => sum + object.size, 0)
  const label = `Reading snapshots of ${database}`
  const meter = yield* (yield* Progress).measure({ label, unit: "bytes", total })
  const found: Array<Finding> = []
  let hasVanished = false
  for (const snapshot of objects) {
    const { text } = snapshot.name
    const before = known.get(text)
    const checked = before === undefined ? yield* ofObject(snapshot, meter) : { finding: before, hasVanished: false }
    if (checked.hasVanished) hasVanished = true
    else known.set(text, checked.finding)
    found.push(checked.finding)
  }
  return { found, hasVanished }
}, Effect.scoped)

/** Maximum number of listings. If a cleaner deletes an object before it is loaded, a new listing has a newer one. */
const listingsMax = 3

/** Returns the findings and never fails. */
export const findings = Effect.fn("Doctor.snapshots")(
  function* (database: string) {
    const known = new Map<string, Finding>()
    for (let listing = 1; ; listing++) {
      const listed = yield* SettledListing.list(database)
      const objects = newestStates(database, listed).flatMap((state) => state.objects)
      const gaps = Map.groupBy(unreachable(database, listed), ({ name }) => name.instance)
      if (objects.length + gaps.size === 0) return [ok(check, "the bucket has no snapshots of this database yet")]
      const { found, hasVanished } = yield* checkObjects(database, objects, known)
      if (!hasVanished || listing === listingsMax)
        return [...found, ...Array.from(gaps.values(), ([first]) => ofGap(first!))]
    }
  },
  Effect.catch((failure) =>
    Effect.succeed<ReadonlyArray<Finding>>([
      error(
        check,
        `not checked: ${failure.message}`,
        "it is not known whether they are complete",
        "see the findings about permissions"
      )
    ])
  )
)
