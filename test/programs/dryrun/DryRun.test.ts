/** `sync --dry-run` over real LMDBs and a directory as the bucket, with layers that die at any write. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Duration, Effect, FileSystem, Layer } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as NanoTimestamp from "../../../src/domain/snapshot/NanoTimestamp.ts"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import * as StorageFs from "../../../src/layers/storage/StorageFs.ts"
import * as DryRun from "../../../src/programs/dryrun/DryRun.ts"
import * as DryRunTask from "../../../src/programs/dryrun/DryRunTask.ts"
import * as DryRunReport from "../../../src/programs/dryrun/DryRunReport.ts"
import { Lmdb, type LmdbOptions } from "../../../src/services/Lmdb.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { Settings, type SettingsValues } from "../../../src/services/Settings.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { nativeOptions, putRaw, type RawDbi, write } from "../../support/fixtures/Environments.ts"
import { type Lines, nativeValue, object, objectOf, ofDbis, rawDbis } from "../../support/fixtures/Snapshots.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"

const silent = Layer.succeed(Progress, { measure: () => Effect.succeed({ add: () => {} }) })

const forbidden = (what: string) => Effect.die(new Error(`a dry run must not ${what}`))

/** The LMDB, of which nothing can be written. */
const readOnlyLmdb = (options: LmdbOptions) =>
  Layer.effect(
    Lmdb,
    Effect.map(Layer.build(LmdbNative.layerWith(options)), (context) =>
      Lmdb.of({ ...Context.get(context, Lmdb), write: () => forbidden("write to the LMDB") })
    )
  )

/** The bucket, of which nothing can be written. */
const readOnlyStorage = (root_path: string) =>
  Layer.effect(
    Storage,
    Effect.map(Layer.build(StorageFs.layerWith({ root_path, create: false })), (context) =>
      Storage.of({
        ...Context.get(context, Storage),
        store: () => forbidden("store"),
        delete: () => forbidden("delete")
      })
    )
  )

const day = 86_400_000_000_000n
/** Nanoseconds: the time of most entries and snapshots here. */
const recent = (offset = 0n) => BigInt(Math.floor(performance.timeOrigin)) * 1_000_000n - day + offset

const nameOf = (instance: string, nanos: bigint) => `main__${instance}__${NanoTimestamp.format(nanos)}__GX.pb.gz`

interface SideOptions {
  readonly settings?: (defaults: SettingsValues) => Partial<SettingsValues>
  readonly run?: Partial<DryRunTask.DryRunOptions>
  readonly isShadow?: boolean
}

/** Runs it, and compares the bytes of the data file and of the bucket. */
const dryRun = Effect.fnUntraced(function* (
  local: ReadonlyArray<RawDbi> | undefined,
  bucket: Readonly<Record<string, Uint8Array>>,
  { isShadow = false, run, settings }: SideOptions = {}
) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "dry-run-" })
  const path = `${directory}/main.lmdb`
  yield* fs.makeDirectory(`${directory}/bucket`)
  for (const [name, bytes] of Object.entries(bucket)) yield* fs.writeFile(`${directory}/bucket/${name}`, bytes)
  if (local !== undefined)
    yield* write(putRaw(local)).pipe(Effect.provide(LmdbNative.layerWith(nativeOptions(path).lmdb), { local: true }))
  const defaults = SettingsTest.make()
  const main = defaults.lmdbs["main"]!
  const values = {
    ...defaults,
    spool_directory: directory,
    lmdbs: { main: { ...main, path, schema_tracks_changes: !isShadow, options: { ...main.options, no_subdir: true } } },
    ...settings?.(defaults)
  }
  const bytes = Effect.gen(function* () {
    const names = (yield* fs.readDirectory(`${directory}/bucket`)).toSorted()
    const files = local === undefined ? [] : [path]
    return yield* Effect.forEach([...files, ...names.map((name) => `${directory}/bucket/${name}`)], (file) =>
      Effect.map(fs.readFile(file), (content) => [file, Buffer.from(content).toString("base64")] as const)
    )
  })
  const before = yield* bytes
  const options = { database: "main", receiveOnly: false, acceptStale: false, ...run }
  const report = yield* DryRunTask.run(options, (task) => DryRun.report(task, readOnlyLmdb)).pipe(
    Effect.provide(
      [
        readOnlyStorage(`${directory}/bucket`).pipe(Layer.provide(NodeServices.layer)),
        SpoolFile.layerWith({ directory, memoryLimit: 0 }),
        Compressions.layer,
        GarbageCollectorV8.layer,
        Layer.succeed(Settings, values),
        silent
      ],
      { local: true }
    )
  )
  assert.deepStrictEqual(yield* bytes, before)
  assert.strictEqual(yield* fs.exists(path), local !== undefined)
  return { report, text: DryRunReport.text(report) }
})

const merging = ({ merging }: DryRunReport.DryRunReport) =>
  Object.fromEntries(
    merging.map(({ dbis, report }) => [
      report.instance,
      Object.fromEntries(dbis.map(({ dbi, entries }) => [dbi, entries]))
    ])
  )

const cleaning = (defaults: SettingsValues) => ({
  storage: {
    ...defaults.storage,
    cleanup: { ...defaults.storage.cleanup, enabled: true, must_keep_interval: Duration.minutes(10) }
  },
  sweeper: { ...defaults.sweeper, enabled: true, retention_days: 365 }
})

const sweeping = (defaults: SettingsValues) => ({ sweeper: { ...defaults.sweeper, enabled: true } })

const hex = (text: string) => Buffer.from(text).toString("hex")

const raw = (name: string, entries: ReadonlyArray<readonly [string, Buffer]>): RawDbi => ({
  name: DbiName.fromText(name),
  flags: 0,
  entries: entries.map(([key, value]) => ({ key: hex(key), value: value.toString("hex") }))
})

layer(NodeServices.layer, { excludeTestServices: true })("a dry run", (it) => {
  it.effect("says what would be merged, from whom, and what would be sent", () =>
    Effect.gen(function* () {
      const local: Lines = {
        records: [
          ["both", 5, "x"],
          ["mine", 9, "new"],
          ["old", 3, "x"]
        ]
      }
      const { report, text } = yield* dryRun(rawDbis(local), {
        [nameOf("a", recent())]: object({
          records: [
            ["both", 5, "x"],
            ["mine", 4, "x"]
          ]
        }),
        [nameOf("b", recent(1n))]: object({
          records: [
            ["both", 5, "x"],
            ["gone", 7, null],
            ["old", 6, "b"]
          ],
          users: [["u", 5, "x"]]
        }),
        [nameOf("c", recent(2n))]: object({
          records: [
            ["gone", 7, null],
            ["old", 8, "c"]
          ]
        })
      })
      assert.deepStrictEqual(merging(report), { a: {}, b: { records: 1, users: 1 }, c: { records: 1 } })
      // Ours in the bucket lacks gone, old and u, and has an older mine.
      assert.deepStrictEqual(report.sending, { entries: 5, unsent: 4 })
      assert.isTrue(DryRunReport.isGood(report))
      assert.match(text, /from a \(main__a__.*\): nothing new\n {4}from b \(.*\): entries: 1 in records, 1 in users\n/)
      assert.match(text, /send\n {4}a snapshot of 5 entries, 4 of them not in our newest one in the bucket\n/)
      assert.match(text, /nothing: the cleaner is off\n.*\n {4}nothing: the sweeper is off\n$/)
    })
  )

  it.effect("merges everything into an LMDB that does not exist, also what all instances have", () =>
    Effect.gen(function* () {
      const more: Lines = {
        records: [
          ["k", 5, "v"],
          ["l", 6, "w"]
        ]
      }
      const one = yield* dryRun(undefined, { [nameOf("b", recent())]: object(more) })
      assert.deepStrictEqual(merging(one.report), { b: { records: 2 } })
      const same = { [nameOf("b", recent())]: object(more), [nameOf("c", recent(9n))]: object(more) }
      assert.deepStrictEqual(merging((yield* dryRun(undefined, same)).report), { b: { records: 2 }, c: {} })
    })
  )

  it.effect("sends nothing that the daemon would not send", () =>
    Effect.gen(function* () {
      const some = object({ records: [["k", 5, "v"]] })
      const local = rawDbis({ records: [["k", 5, "v"]] })
      const why = Effect.fnUntraced(function* (...args: Parameters<typeof dryRun>) {
        const { sending } = (yield* dryRun(...args)).report
        return "why" in sending ? sending.why : ""
      })
      assert.match(yield* why([], { [nameOf("b", recent())]: some }), /the LMDB has no data/)
      assert.match(yield* why(undefined, { [nameOf("b", recent())]: some }), /the LMDB does not exist/)
      assert.match(yield* why(local, {}, { run: { receiveOnly: true } }), /receive never sends/)
      const refused = objectOf({ ...ofDbis([]), compatVersion: 4 })
      assert.match(yield* why(local, { [nameOf("a", recent())]: refused }), /our own newest snapshot is refused/)
      assert.match(yield* why(local, {}, { settings: sweeping }), /the LMDB is stale/)
      assert.strictEqual(yield* why(local, {}, { settings: sweeping, run: { acceptStale: true } }), "")
      assert.strictEqual(yield* why(local, { [nameOf("a", recent())]: some }, { settings: sweeping }), "")
      assert.deepStrictEqual((yield* dryRun(local, {})).report.sending, { entries: 1, unsent: undefined })
    })
  )

  it.effect("says what the cleaner would delete, and what a sweep would remove", () =>
    Effect.gen(function* () {
      const some = object({ records: [["k", 5, "v"]] })
      const old = recent(-30n * day)
      const bucket = {
        [nameOf("a", recent(-2n))]: some,
        [nameOf("a", recent(-1n))]: some,
        [nameOf("b", recent(-2n))]: some,
        [nameOf("b", recent(-1n))]: some.slice(0, -9),
        [nameOf("c", old)]: some
      }
      const entries: Lines = {
        records: [
          ["dead", recent(), null],
          ["k", recent(), "v"],
          ["old", 5, "x"],
          ["swept", 5, null]
        ]
      }
      const { report, text } = yield* dryRun(rawDbis(entries), bucket, { settings: cleaning })
      // The newest of b is corrupt, so its older one stays.
      assert.deepStrictEqual(
        report.deletions!.map(({ name, reason }) => `${name.instance} ${reason}`),
        ["a newer snapshot", "a newer snapshot", "c stale instance"]
      )
      assert.deepStrictEqual(report.sweep, { entries: 4, old: 1 })
      assert.isFalse(DryRunReport.isGood(report))
      assert.match(
        text,
        /NOT from b \(.*-\d+__GX\.pb\.gz\): the snapshot is corrupt: the gzip container.*\n {4}from b \(.*\): nothing new\n/
      )
      assert.match(text, /after must_keep_interval: main__a__.* \(newer snapshot\)\n/)
      const receiving = yield* dryRun(rawDbis(entries), bucket, { settings: cleaning, run: { receiveOnly: true } })
      assert.isUndefined(receiving.report.deletions)
    })
  )

  it.effect("in shadow mode counts what the application has changed, and merges beside the shadow", () =>
    Effect.gen(function* () {
      const local = [
        raw("records", [
          ["changed", Buffer.from("2")],
          ["new", Buffer.from("1")],
          ["same", Buffer.from("1")]
        ]),
        raw("_sync_shadow_records", [
          ["changed", nativeValue(5, "1")],
          ["gone", nativeValue(5, "1")],
          ["same", nativeValue(5, "1")]
        ])
      ]
      const { report, text } = yield* dryRun(
        local,
        {
          [nameOf("b", recent())]: object({
            records: [
              ["same", 6, "2"],
              ["theirs", 5, "1"]
            ]
          })
        },
        { isShadow: true }
      )
      assert.deepStrictEqual(report.changes, { put: 2, removed: 1 })
      assert.deepStrictEqual(merging(report), { b: { records: 2 } })
      assert.match(text, /before that, changes of the application since the last copy: 2 added or changed, 1 removed\n/)
      assert.match(text, /send\n {4}a snapshot of 4 entries and up to 2 more by these changes, the first of this/)
    })
  )
})
