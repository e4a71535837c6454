/**
 * Reads the DBI messages of a spooled snapshot in any order. It continues from its position to a later message, and
 * starts again for an earlier one, which is rare, because snapshots contain their DBIs in the order of their names.
 */
import { Effect, Exit, Scope, Stream } from "effect"
import * as Pull from "effect/Pull"
import { Event, SnapshotReader } from "../../domain/snapshot/SnapshotReader.ts"
import { Compression } from "../../services/Compression.ts"
import { Spool } from "../../services/Spool.ts"
import { attempt, type EngineError } from "../engine/Engine.ts"
import type { CheckedSnapshot } from "./CheckedSnapshot.ts"
import { SnapshotEntries } from "./EntrySource.ts"

export interface SnapshotMessages {
  /** Returns the entries of a message. Those of the previous message are no longer valid. */
  readonly entriesOf: (index: number) => Effect.Effect<SnapshotEntries, EngineError>
}

interface Reading {
  readonly reader: SnapshotReader
  readonly feed: Effect.Effect<void, EngineError>
  readonly scope: Scope.Closeable
}

/** Passes the next chunks to a reader. */
const feeding = Effect.fnUntraced(function* (snapshot: CheckedSnapshot, reader: SnapshotReader) {
  const compression = yield* Compression
  const spool = yield* Spool
  const chunks = compression[snapshot.format].decompress(spool.read(snapshot.spooled))
  const pull = yield* Stream.toPull(chunks)
  let items: ReadonlyArray<Uint8Array> = []
  let next = 0
  const feed: Effect.Effect<void, EngineError> = Effect.suspend(() => {
    const chunk = items[next++]
    if (chunk !== undefined) return Effect.sync(() => reader.push(chunk))
    return Pull.matchEffect(pull, {
      onSuccess: (more) => {
        items = more
        next = 0
        return feed
      },
      onFailure: Effect.failCause,
      onDone: () => Effect.sync(() => reader.finish())
    })
  })
  return feed
})

/** Opens a snapshot. Its resources are released with the scope. */
export const open = Effect.fnUntraced(function* (snapshot: CheckedSnapshot) {
  const context = yield* Effect.context<Compression | Spool>()
  const parent = yield* Effect.scope
  let reading: Reading | undefined

  const begin = Effect.gen(function* () {
    if (reading !== undefined) yield* Scope.close(reading.scope, Exit.void)
    const scope = yield* Scope.fork(parent)
    const reader = new SnapshotReader()
    const feed = yield* feeding(snapshot, reader).pipe(Scope.provide(scope))
    reading = { reader, feed, scope }
    return reading
  }).pipe(Effect.provideContext(context))

  const entriesOf: SnapshotMessages["entriesOf"] = Effect.fnUntraced(function* (index) {
    const { feed, reader } = reading === undefined || reading.reader.dbi.index >= index ? yield* begin : reading
    for (;;) {
      const event = yield* attempt(() => reader.next())
      if (event === Event.NeedChunk) yield* feed
      if (event === Event.DbiStart && reader.dbi.index === index)
        return new SnapshotEntries(reader, snapshot.formatVersion, feed)
      if (event === Event.End) return yield* Effect.die(new Error(`the snapshot has no DBI message ${index}`))
    }
  })
  return { entriesOf } satisfies SnapshotMessages
})
