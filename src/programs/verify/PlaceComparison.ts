/** Compares all DBIs of several places, one DBI after the other. */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as KeyOrder from "../../domain/lmdb/KeyOrder.ts"
import { Compression } from "../../services/Compression.ts"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import type { Meter } from "../../services/Progress.ts"
import { attempt, sliceMillis } from "../engine/Engine.ts"
import { orderOfHead } from "../engine/merge/Mode.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import type { CheckedSnapshot } from "./CheckedSnapshot.ts"
import { DbiComparison, done, paused, type PairDifference, PlaceCount, type PlacedSource } from "./DbiComparison.ts"
import { EntryDigest } from "./EntryDigest.ts"
import { LmdbEntries } from "./EntrySource.ts"
import * as PacedCollection from "./PacedCollection.ts"
import * as SnapshotMessages from "./SnapshotMessages.ts"
import type { DbiReport, PairReport, PlaceReport } from "./VerifyReport.ts"

/** A place that has entries: the snapshots of an instance, or an LMDB. */
export interface ComparedPlace {
  readonly report: PlaceReport
  /** The snapshots whose merge gives the entries of the place. */
  readonly snapshots: ReadonlyArray<CheckedSnapshot>
  /** The same snapshots, with their names. */
  readonly states: ReadonlyArray<Snapshot>
  /** The entries of an LMDB. `nameOf` returns the DBI that has the headers. */
  readonly headers:
    { readonly view: ReadTransaction; readonly nameOf: (dbi: DbiName.DbiName) => DbiName.DbiName } | undefined
}

/** Indices of two places, of which `to` should have everything that `from` has. */
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

/** Returns the parts of each DBI. Several messages of one DBI in one snapshot are read by separate readers. */
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

/**
 * Returns the number of entries that are walked, for the progress. It includes old tombstones, which do not count
 * otherwise.
 */
export const entriesOf = (places: ReadonlyArray<ComparedPlace>): number => {
  let entries = 0
  for (const { headers, snapshots } of places) {
    for (const snapshot of snapshots) entries += snapshot.entries
    const dbis = headers?.view.dbis ?? []
    const names = new Set(dbis.filter(({ name }) => !DbiName.isPrivate(name)).map(({ name }) => headers?.nameOf(name)))
    for (const dbi of dbis) if (names.has(dbi.name)) entries += dbi.entries
  }
  return entries
}

/** Creates the comparison of a DBI. */
export type MakeComparison<A extends DbiComparison> = (
  order: KeyOrder.KeyOrder,
  counts: ReadonlyArray<PlaceCount>,
  sources: ReadonlyArray<PlacedSource>
) => A

export interface Walked<R> {
  readonly dbi: DbiName.DbiName
  /** The result, or undefined if the keys are in different orders. */
  readonly result: R | undefined
  readonly conflict: readonly [PlaceReport, PlaceReport] | undefined
}

const walkDbi = Effect.fnUntraced(function* <A extends DbiComparison>(
  places: ReadonlyArray<ComparedPlace>,
  parts: ReadonlyArray<Part>,
  make: MakeComparison<A>,
  meter: Meter
) {
  const { digestNow } = yield* Compression
  const collection = yield* PacedCollection.make
  const sources = yield* Effect.forEach(parts, ({ open, place }) =>
    Effect.map(open, (entries): PlacedSource => ({ place, entries }))
  )
  const counts = places.map(() => new PlaceCount(new EntryDigest(digestNow)))
  const comparison = make(parts[0]!.order, counts, sources)
  let metered = 0
  for (;;) {
    const state = yield* attempt(() => comparison.run(performance.now() + sliceMillis))
    const counted = counts.reduce((sum, { entries }) => sum + entries, 0)
    meter.add(counted - metered)
    metered = counted
    if (state === done) return comparison
    yield* state === paused ? Effect.yieldNow : Effect.andThen(sources[state]!.entries.feed, collection)
  }
})

/**
 * Walks all DBIs of all places, in byte order of their names. `resultOf` extracts the result of a comparison at its
 * end, so that its buffers can be released.
 */
export const walkAll = Effect.fnUntraced(function* <A extends DbiComparison, R>(
  places: ReadonlyArray<ComparedPlace>,
  isPrivate: (dbi: DbiName.DbiName) => boolean,
  make: MakeComparison<A>,
  resultOf: (comparison: A) => R,
  meter: Meter
) {
  const walked: Array<Walked<R>> = []
  for (const [dbi, parts] of Array.from(yield* partsOf(places, isPrivate)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const other = parts.find(({ order }) => order !== parts[0]!.order)
    if (other === undefined)
      walked.push({ dbi, result: resultOf(yield* walkDbi(places, parts, make, meter)), conflict: undefined })
    else
      walked.push({
        dbi,
        result: undefined,
        conflict: [places[parts[0]!.place]!.report, places[other.place]!.report]
      })
  }
  return walked
}, Effect.scoped)

/** Compares all places. Tombstones older than `cutOffNano` are ignored. */
export const compareAll = Effect.fnUntraced(function* (
  places: ReadonlyArray<ComparedPlace>,
  pairs: ReadonlyArray<PairOfPlaces>,
  cutOffNano: bigint,
  isPrivate: (dbi: DbiName.DbiName) => boolean,
  meter: Meter
) {
  const make: MakeComparison<DbiComparison> = (order, counts, sources) => {
    const differences = pairs
      .filter(({ comparable }) => comparable)
      .map(({ from, to }): PairDifference => ({ from, to, missing: 0, outdated: 0, examples: [] }))
    return new DbiComparison(order, counts, sources, differences, cutOffNano)
  }
  const resultOf = ({ counts, pairs }: DbiComparison) => ({
    pairs,
    counts: counts.map(({ digest, entries, tombstones }, place) => ({
      place: places[place]!.report,
      entries,
      tombstones,
      digest: digest.hex
    }))
  })
  const walked = yield* walkAll(places, isPrivate, make, resultOf, meter)
  const dbis = walked.map(({ conflict, dbi, result }): DbiReport => ({ dbi, conflict, counts: result?.counts ?? [] }))
  const pairReports = pairs.map(({ comparable, from, to }): PairReport => ({
    from: places[from]!.report,
    to: places[to]!.report,
    comparable,
    dbis: walked.flatMap(({ dbi, result }) =>
      (result?.pairs ?? [])
        .filter((pair) => pair.from === from && pair.to === to && pair.missing + pair.outdated > 0)
        .map(({ examples, missing, outdated }) => ({ dbi, missing, outdated, examples }))
    )
  }))
  return { dbis, pairs: pairReports }
})
