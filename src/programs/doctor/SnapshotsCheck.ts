/** Checks that the objects of the newest state of each instance in the bucket can be read to their end. */
import { Effect, Stream } from "effect"
import { Event, SnapshotReader } from "../../domain/snapshot/SnapshotReader.ts"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import { versionRefusal } from "../../domain/snapshot/SnapshotRules.ts"
import { Compression } from "../../services/Compression.ts"
import { Storage } from "../../services/Storage.ts"
import { attempt } from "../engine/Engine.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import { newestStates, unreachable } from "../snapshots/StateObjects.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "snapshots"

/** Reads an object to its end and returns the number of its entries. */
const readThrough = Effect.fnUntraced(function* ({ name, object }: Snapshot) {
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
  yield* Stream.runForEach(compression[name.format].decompress(storage.load(object.name, object)), (chunk) =>
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

const ofObject = (snapshot: Snapshot) =>
  readThrough(snapshot).pipe(
    Effect.map(({ entries, refusal }) =>
      refusal === undefined
        ? ok(check, `${snapshot.name.text} is complete, ${entries} entries`)
        : error(check, `${snapshot.name.text} is refused: ${refusal}`, why, "upgrade this instance")
    ),
    Effect.catch((failure) => {
      const isOutage = failure._tag === "StorageError"
      const todo = isOutage
        ? "try again: a cleaner may have deleted it in the meantime"
        : `restart the daemon of ${snapshot.name.instance}, which sends a new one at its start, and check its disk and network`
      const found = `${snapshot.name.text} ${isOutage ? "cannot be loaded" : "is corrupt"}: ${failure.message}`
      return Effect.succeed((isOutage ? warning : error)(check, found, why, todo))
    })
  )

const ofGap = ({ name }: Snapshot): Finding =>
  warning(
    check,
    `an object before ${name.text} is missing`,
    "other instances do not receive its contents until the next full snapshot",
    `wait for full_snapshot_interval, or restart the daemon of ${name.instance}, which sends a full snapshot at its start`
  )

/** Returns the findings and never fails. */
export const findings = Effect.fn("Doctor.snapshots")(
  function* (database: string) {
    const storage = yield* Storage
    const listed = yield* storage.list(listingPrefix(database))
    const states = newestStates(database, listed)
    const gaps = Map.groupBy(unreachable(database, listed), ({ name }) => name.instance)
    if (states.length + gaps.size === 0) return [ok(check, "the bucket has no snapshots of this database yet")]
    const found = yield* Effect.forEach(
      states.flatMap(({ objects }) => objects),
      ofObject
    )
    return [...found, ...Array.from(gaps.values(), ([first]) => ofGap(first!))]
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
