/**
 * One side of a pair that exchanges deltas: an application with records in an LMDB, and a way to start a daemon beside
 * it, in either mode.
 */
import { Effect, FileSystem } from "effect"
import { isDeepStrictEqual } from "node:util"
import { Choices } from "../simulation/Choices.ts"
import { hex, megabyte, native } from "./Application.ts"
import * as Daemon from "./Daemon.ts"
import { eventually } from "./Eventually.ts"
import * as LmdbApplication from "./fakes/LmdbApplication.ts"

export type Mode = "native" | "shadow"

/** Default size of the map in bytes. */
export const mapSizeUsual = 16 * megabyte
export const records = 400

const text = (bytes: string) => Buffer.from(bytes, "hex").toString()

/** Returns the records of an instance. They differ between instances, and hardly compress. */
export const recordsOf = (instance: string) => {
  const choices = new Choices(instance.charCodeAt(0))
  return Array.from({ length: records }, (_, i) => [`${instance}-${i}`, String(choices.next())] as const)
}

export interface SideOptions {
  readonly instance: string
  readonly mode: Mode
  readonly storage: object
  readonly entries?: ReadonlyArray<readonly [key: string, value: string]>
  readonly settings?: object
  readonly mapSize?: number
}

/** The application of a side. Each time it is opened, it is a new process, which ends with the scope. */
const openedBy = (path: string, mode: Mode) => {
  let time = 1n
  const step = (key: string, value: string): LmdbApplication.Step => ({
    do: "put",
    dbi: "records",
    key: hex(key),
    value: mode === "native" ? native(value, time++) : hex(value)
  })
  return Effect.fnUntraced(function* (mapSize: number) {
    const application = yield* LmdbApplication.make({ path, mapSize })
    const list = Effect.map(application.send({ do: "list", dbi: "records" }), ({ entries }) => {
      return new Map(entries.map(([key, value]) => [text(key), text(mode === "native" ? value.slice(48) : value)]))
    })
    return {
      ...application,
      list,
      /** Puts all entries in one transaction. */
      putAll: (entries: ReadonlyArray<readonly [key: string, value: string]>) =>
        application.write(...entries.map(([key, value]) => step(key, value))),
      put: (key: string, value: string) => application.write(step(key, value)),
      /** Puts the existing bytes of an entry again, with the same time. */
      putAgain: Effect.fnUntraced(function* (key: string) {
        const { entries } = yield* application.send({ do: "list", dbi: "records" })
        const [, value] = entries.find(([each]) => each === hex(key))!
        return yield* application.write({ do: "put", dbi: "records", key: hex(key), value })
      }),
      remove: (key: string) => application.write({ do: "remove", dbi: "records", key: hex(key) })
    }
  })
}

/** Creates a side: an application with its records, if any, and a way to start a daemon beside it. */
export const makeSide = Effect.fnUntraced(function* (options: SideOptions) {
  const { entries = [], instance, mapSize = mapSizeUsual, mode, settings = {}, storage } = options
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped({ prefix: `deltas-${instance}-` })}/main.lmdb`
  const open = openedBy(path, mode)
  const application = yield* open(mapSize)
  yield* application.write({ do: "create", dbi: "records", flags: 0 })
  if (entries.length > 0) yield* application.putAll(entries)
  const file = mode === "native" ? Daemon.nativeFile(path) : Daemon.shadowFile(path)
  return {
    ...application,
    instance,
    path,
    open,
    start: Daemon.start({
      args: ["sync"],
      config: { ...Daemon.quick, instance, lmdbs: { main: file }, storage, ...settings }
    })
  }
})

export type Side = Effect.Success<ReturnType<typeof makeSide>>

export const arrives = ({ instance, list }: Pick<Side, "instance" | "list">, key: string, value: string) =>
  eventually(
    `${key} = ${value} arrives at ${instance}`,
    Effect.map(list, (found) => (found.get(key) === value ? value : undefined)),
    () => ""
  )

/** Waits until the other side has the same content. */
export const converge = Effect.fnUntraced(function* (here: Pick<Side, "list">, there: Pick<Side, "list">) {
  yield* eventually(
    "both hold the same",
    Effect.map(Effect.all([here.list, there.list]), ([one, other]) =>
      isDeepStrictEqual(one, other) ? one : undefined
    ),
    () => ""
  )
})

export const isSent = (kind: "snapshot" | "delta") => (line: Daemon.LogLine) => line["snapshot_kind"] === kind

export const makeBucket = Effect.fnUntraced(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "deltas-bucket-" })
  return { directory, storage: Daemon.folderBucket(directory) }
})
