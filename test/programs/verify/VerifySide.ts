/** Real LMDBs, and a directory as the bucket, for `verify`. */
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, FileSystem, Layer } from "effect"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import * as Verify from "../../../src/programs/verify/Verify.ts"
import { type DatabaseReport, isGood } from "../../../src/programs/verify/VerifyReport.ts"
import { Progress } from "../../../src/services/Progress.ts"
import type { SettingsValues } from "../../../src/services/Settings.ts"
import { nativeOptions, putRaw, type RawDbi, write } from "../../support/fixtures/Environments.ts"
import { type Lines, object, rawDbis } from "../../support/fixtures/Snapshots.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"

/** Total and amount of each work, by its label. */
export const works = new Map<string, { readonly total: number | undefined; done: number }>()

const progress = Layer.succeed(Progress, {
  measure: ({ label, total }) =>
    Effect.sync(() => {
      const work = { total, done: 0 }
      works.set(label, work)
      return { add: (amount: number) => void (work.done += amount) }
    })
})

/** In a minute of 2025: seconds, as it is in names. */
export const nameOf = (instance: string, second: number) =>
  `main__${instance}__20250101-0000${String(second).padStart(2, "0")}-000000000__GX.pb.gz`

export interface SideOptions {
  readonly settings?: Partial<SettingsValues>
  /** In shadow mode the LMDB is not native. */
  readonly isShadow?: boolean
}

/** `local`: what the LMDB holds; `bucket`: contents by object name, decoded or as bytes. */
export const make = Effect.fnUntraced(function* (
  local: Lines | ReadonlyArray<RawDbi>,
  bucket: Readonly<Record<string, Lines | Uint8Array>>,
  { isShadow = false, settings }: SideOptions = {}
) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "verify-" })
  const path = `${directory}/main.lmdb`
  const put = (name: string, content: Lines | Uint8Array) =>
    fs.writeFile(`${directory}/bucket/${name}`, content instanceof Uint8Array ? content : object(content))
  yield* fs.makeDirectory(`${directory}/bucket`)
  for (const [name, content] of Object.entries(bucket)) yield* put(name, content)
  const dbis = Array.isArray(local) ? (local as ReadonlyArray<RawDbi>) : rawDbis(local as Lines)
  yield* write(putRaw(dbis)).pipe(Effect.provide(LmdbNative.layerWith(nativeOptions(path).lmdb), { local: true }))
  const values = SettingsTest.make({ spool_directory: directory, ...settings })
  const main = values.lmdbs["main"]!
  const lmdbs = {
    main: { ...main, path, schema_tracks_changes: !isShadow, options: { ...main.options, no_subdir: true } }
  }
  const layer = Layer.mergeAll(
    StorageFs.layerWith({ root_path: `${directory}/bucket`, create: false }),
    SpoolFile.layerWith({ directory, memoryLimit: 0 }),
    Compressions.layer,
    GarbageCollectorV8.layer,
    SettingsTest.layerWith({ ...values, lmdbs }),
    progress
  ).pipe(Layer.provide(NodeServices.layer))
  const verify = (grace: Duration.Input = "1 second") =>
    Verify.verify({ database: "main", grace: Duration.fromInputUnsafe(grace), json: false }, (task) =>
      Verify.compare(task, LmdbNative.layerWith)
    ).pipe(Effect.provide(layer, { local: true }))
  return { directory, path, put, verify }
})

const placeName = (instance: string | undefined) => instance ?? "LMDB"

/** Pairs and what is wrong with them, as `b: all of a`. */
export const verdicts = (report: DatabaseReport): ReadonlyArray<string> =>
  report.pairs.map(({ comparable, dbis, from, to }) => {
    const pair = `${placeName(to.instance)}: ${placeName(from.instance)}`
    if (!comparable) return `${pair} not yet`
    if (dbis.length === 0) return `${pair} complete`
    const parts = dbis.map(
      ({ dbi, examples, missing, outdated }) =>
        `${dbi} -${missing} <${outdated} ${examples.map(({ key }) => Buffer.from(key).toString()).join()}`
    )
    return `${pair} differs: ${parts.join("; ")}`
  })

export const good = isGood

/** Of a DBI: entries, tombstones and the first bytes of the digest, by place. */
export const countsOf = (report: DatabaseReport, dbi: string) =>
  Object.fromEntries(
    report.dbis
      .find((one) => one.dbi === dbi)!
      .counts.map(({ digest, entries, place, tombstones }) => [
        placeName(place.instance),
        { entries, tombstones, digest }
      ])
  )
