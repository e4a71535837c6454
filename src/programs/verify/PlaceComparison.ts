/** Compares all DBIs of several places, one DBI after the other. */
import { Effect } from "effect"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as KeyOrder from "../../domain/lmdb/KeyOrder.ts"
import { Compression } from "../../services/Compression.ts"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import type { Meter } from "../../services/Progress.ts"
import { attempt, sliceMillis } from "../engine/Engine.ts"
import { orderOfHead } from "../engine/merge/Mode.ts"
import type { CheckedSnapshot } from "./CheckedSnapshot.ts"
import { DbiComparison, done, paused, type PairDifference, PlaceCount, type PlacedSource } from "./DbiComparison.ts"
import { EntryDigest } from "./EntryDigest.ts"
import { LmdbEntries } from "./EntrySource.ts"
import * as SnapshotMessages from "./SnapshotMessages.ts"
import type { DbiReport, PairReport, PlaceReport } from "./VerifyReport.ts"

/** Where entries are: in snapshots, or in an LMDB. */
export interface ComparedPlace {
  readonly report: PlaceReport
  /** Whose merge gives what is there. */
  readonly snapshots: ReadonlyArray<CheckedSnapshot>
  /** Of an LMDB: `nameOf` is the DBI that has the headers. */
  readonly headers:
    { readonly view: ReadTransaction; readonly nameOf: (dbi: DbiName.DbiName) => DbiName.DbiName } | undefined
}

/** Indices of places: whether `to` should have all that `from` has. */
export interface PairOfPlaces {
  readonly from: number
  readonly to: number
  readonly comparable: boolean
}

/** A DBI as one place has it. */
interface Part {
  readonly place: number
  readonly order: KeyOrder.KeyOrder
  readonly open: Effect.Effect<PlacedSource["entries"], Effect.Error<ReturnType<typeof openLmdb>>>
}

const openLmdb = (view: ReadTransaction, dbi: DbiName.DbiName) => attempt(() => new LmdbEntries(dbi, view.cursor(dbi)))

/** The parts of each DBI. Messages of one DBI in one snapshot are read by readers of their own. */
const partsOf = Effect.fnUntraced(function* (
  places: ReadonlyArray<ComparedPlace>,
  isPrivate: (dbi: DbiName.DbiName) => boolean
) {
  const dbis = new Map<DbiName.DbiName, Array<Part>>()
  const add = (dbi: DbiName.DbiName, part: Part) => {
    const parts = dbis.get(dbi)
    if (parts === undefined) dbis.set(dbi, [part])
    else parts.push(part)
  }
  for (const [place, { headers, snapshots }] of places.entries()) {
    for (const snapshot of snapshots) {
      const readers: Array<SnapshotMessages.SnapshotMessages> = []
      const used = new Map<DbiName.DbiName, number>()
      for (const [index, head] of snapshot.heads.entries()) {
        if (isPrivate(head.name)) continue
        const nth = used.get(head.name) ?? 0
        used.set(head.name, nth + 1)
        const reader = (readers[nth] ??= yield* SnapshotMessages.open(snapshot))
        add(head.name, { place, order: orderOfHead(head), open: reader.entriesOf(index) })
      }
    }
    if (headers === undefined) continue
    const { nameOf, view } = headers
    const byName = new Map(view.dbis.map((dbi) => [dbi.name, dbi]))
    const names = new Set([...dbis.keys(), ...byName.keys()].filter((name) => !isPrivate(name)))
    for (const name of names) {
      const dbi = byName.get(nameOf(name))
      if (dbi !== undefined) add(name, { place, order: KeyOrder.orderOf(dbi.flags), open: openLmdb(view, dbi.name) })
    }
  }
  return dbis
})

const compareDbi = Effect.fnUntraced(function* (
  places: ReadonlyArray<ComparedPlace>,
  parts: ReadonlyArray<Part>,
  pairs: ReadonlyArray<PairDifference>,
  cutOffNano: bigint,
  meter: Meter
) {
  const { digestNow } = yield* Compression
  const sources = yield* Effect.forEach(parts, ({ open, place }) =>
    Effect.map(open, (entries): PlacedSource => ({ place, entries }))
  )
  const counts = places.map(() => new PlaceCount(new EntryDigest(digestNow)))
  const comparison = new DbiComparison(parts[0]!.order, counts, sources, pairs, cutOffNano)
  let metered = 0
  for (;;) {
    const state = yield* attempt(() => comparison.run(performance.now() + sliceMillis))
    const counted = counts.reduce((sum, { entries }) => sum + entries, 0)
    meter.add(counted - metered)
    metered = counted
    if (state === done) return counts
    yield* state === paused ? Effect.yieldNow : sources[state]!.entries.feed
  }
})

/** Reads all places. `cutOffNano`: tombstones older than this are left out. */
export const compareAll = Effect.fnUntraced(function* (
  places: ReadonlyArray<ComparedPlace>,
  pairs: ReadonlyArray<PairOfPlaces>,
  cutOffNano: bigint,
  isPrivate: (dbi: DbiName.DbiName) => boolean,
  meter: Meter
) {
  const dbis: Array<DbiReport> = []
  const found = pairs.map((pair) => ({ pair, dbis: [] as Array<PairReport["dbis"][number]> }))
  for (const [dbi, parts] of Array.from(yield* partsOf(places, isPrivate)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const other = parts.find(({ order }) => order !== parts[0]!.order)
    if (other !== undefined) {
      dbis.push({ dbi, counts: [], conflict: [places[parts[0]!.place]!.report, places[other.place]!.report] })
      continue
    }
    const differences = pairs
      .filter(({ comparable }) => comparable)
      .map(({ from, to }): PairDifference => ({ from, to, missing: 0, outdated: 0, examples: [] }))
    const counts = yield* compareDbi(places, parts, differences, cutOffNano, meter)
    dbis.push({
      dbi,
      counts: counts.map(({ digest, entries, tombstones }, place) => ({
        place: places[place]!.report,
        entries,
        tombstones,
        digest: digest.hex
      })),
      conflict: undefined
    })
    for (const { examples, from, missing, outdated, to } of differences) {
      if (missing + outdated === 0) continue
      found.find(({ pair }) => pair.from === from && pair.to === to)!.dbis.push({ dbi, missing, outdated, examples })
    }
  }
  return {
    dbis,
    pairs: found.map(({ dbis, pair }): PairReport => ({
      from: places[pair.from]!.report,
      to: places[pair.to]!.report,
      comparable: pair.comparable,
      dbis
    }))
  }
}, Effect.scoped)
