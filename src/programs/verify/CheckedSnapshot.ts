/** Downloads a snapshot and reads it to its end, to check that it is complete and can be merged here. */
import { Effect, Stream } from "effect"
import { releaseBuffer } from "../../domain/bytes/ReleaseBuffer.ts"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { SnapshotMeta } from "../../domain/snapshot/SnapshotMeta.ts"
import type { DbiHead } from "../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction } from "../../services/Lmdb.ts"
import type { SnapshotFormat } from "../../services/Database.ts"
import type { Meter } from "../../services/Progress.ts"
import { Spool, type Spooled } from "../../services/Spool.ts"
import { Storage } from "../../services/Storage.ts"
import { attempt, sliceMillis } from "../engine/Engine.ts"
import * as MemberFeed from "../engine/merge/MemberFeed.ts"
import { OrderOnly } from "../engine/merge/MergeEntries.ts"
import { type Mode, orderOfHead } from "../engine/merge/Mode.ts"
import type { SnapshotKnowledge } from "../engine/merge/SnapshotKnowledge.ts"
import { firstKeyLength, type Phase, SnapshotPass } from "../engine/merge/SnapshotPass.ts"
import { State } from "../engine/WriteJob.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import * as PacedCollection from "./PacedCollection.ts"

export interface CheckedSnapshot {
  readonly format: SnapshotFormat
  readonly spooled: Spooled
  readonly formatVersion: number
  readonly meta: SnapshotMeta
  readonly entries: number
  /** Heads of the DBI messages, in their order. */
  readonly heads: ReadonlyArray<DbiHead>
}

/** Downloads the object into a place of the spool, which belongs to the scope. */
export const download = Effect.fnUntraced(function* ({ object }: Snapshot, meter: Meter) {
  const storage = yield* Storage
  const spool = yield* Spool
  const writer = spool.writer(yield* spool.open)
  yield* Stream.runForEach(storage.load(object.name, object), (chunk) =>
    Effect.andThen(
      writer.append(chunk),
      Effect.sync(() => {
        meter.add(chunk.length)
        releaseBuffer(chunk)
      })
    )
  )
  return yield* writer.finish
})

/** Returns the phase of a merge that reads the snapshot without merging anything. */
const phaseOf = (mode: Mode, view: ReadTransaction | undefined): Phase => {
  const dbis = new Map<DbiName.DbiName, Dbi>(view?.dbis.map((dbi) => [dbi.name, dbi]) ?? [])
  return {
    mode,
    before: view ?? { dbis: [], plainKeys: [] },
    local: (dbi) => dbis.get(dbi),
    keyLength: (dbi) => (view !== undefined && dbis.has(dbi) ? firstKeyLength(view, dbi) : 0),
    beginDbi: (head) => new OrderOnly(orderOfHead(head))
  }
}

const readOnce = Effect.fnUntraced(function* (
  phase: Phase,
  request: { readonly spooled: Spooled; readonly format: SnapshotFormat },
  known: SnapshotKnowledge | undefined
) {
  const feed = yield* MemberFeed.open(request, new Map(), 0)
  const collection = yield* PacedCollection.make
  const pass = new SnapshotPass(phase, known)
  yield* Effect.addFinalizer(() => Effect.sync(() => pass.close()))
  for (;;) {
    const state = yield* attempt(() => pass.advance(performance.now() + sliceMillis))
    if (state === State.End) return pass
    yield* state === State.NeedChunk ? Effect.andThen(feed(pass), collection) : Effect.yieldNow
  }
}, Effect.scoped)

/** Fails if the snapshot is corrupt or must not be merged here. `view` is the LMDB, if it could be opened. */
export const check = Effect.fnUntraced(function* (
  mode: Mode,
  view: ReadTransaction | undefined,
  format: SnapshotFormat,
  spooled: Spooled
) {
  const phase = phaseOf(mode, view)
  let pass = yield* readOnce(phase, { spooled, format }, undefined)
  // It described a DBI after its entries.
  if (pass.isDisproved) pass = yield* readOnce(phase, { spooled, format }, pass.learned)
  const { formatVersion, heads } = pass.learned
  const { entriesRead: entries, reader } = pass
  return { format, spooled, formatVersion, heads, entries, meta: reader.meta } satisfies CheckedSnapshot
})
