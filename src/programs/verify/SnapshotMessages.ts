/**
 * Reads the DBI messages of a spooled snapshot in any order. It continues from its position to a later message, and
 * starts again for an earlier one, which is rare, because snapshots contain their DBIs in the order of their names.
 */
import { Effect, Exit, Scope } from "effect"
import { Event, SnapshotReader } from "../../domain/snapshot/SnapshotReader.ts"
import type { Compression } from "../../services/Compression.ts"
import type { Spool } from "../../services/Spool.ts"
import { attempt, type EngineError } from "../engine/Engine.ts"
import * as MemberFeed from "../engine/merge/MemberFeed.ts"
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

/** Passes members to a reader, whose memory is released when the next one is asked for. */
const feeding = Effect.fnUntraced(function* (snapshot: CheckedSnapshot, reader: SnapshotReader) {
  const feed = yield* MemberFeed.open(snapshot, new Map(), 0)
  const fed: MemberFeed.Fed = {
    push: (chunk) => reader.push(chunk),
    skip: () => false,
    pushMember: (_, content) => reader.push(content),
    finish: () => reader.finish()
  }
  return Effect.suspend(() => feed(fed))
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
