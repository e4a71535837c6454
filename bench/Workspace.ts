/**
 * Creates the data of one size in a directory that is removed at the end: an LMDB, a snapshot of a copy with one
 * changed entry, and targets, which are recreated.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import { entriesPerDomain } from "./PdnsEntries.ts"
import { ScenarioResult } from "./Results.ts"

const generator = new URL("./generate.ts", import.meta.url)

/**
 * In native mode, the application's values have native headers. In shadow mode they do not, and each DBI has a shadow.
 */
export type Mode = "native" | "shadow"

export interface Workspace {
  readonly mode: Mode
  readonly domains: number
  /** Number of entries, PowerDNS's own two settings included. */
  readonly entries: number
  readonly directory: string
  readonly lmdb: string
  readonly snapshot: string
  /** Path of the snapshot of the LMDB with one changed record. Only in native mode. */
  readonly changedSnapshot: string
  /** Path for a target. */
  readonly target: string
}

export const generate = (path: string, domains: number, options: ReadonlyArray<string> = []) =>
  Child.runOnly(generator, ["--path", path, "--domains", String(domains), ...options])

/** Flushes written data to the disk now, and not while something is measured. */
const flush = Effect.fnUntraced(function* (path: string) {
  const file = yield* (yield* FileSystem.FileSystem).open(path, { flag: "r+" })
  yield* file.sync
}, Effect.scoped)

export const remove = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.remove(path, { force: true })
  yield* fs.remove(`${path}-lock`, { force: true })
})

/** Copies the LMDB without its lock file, which belongs to the original file. */
export const copy = Effect.fn("Workspace.copy")(function* (source: string, target: string) {
  yield* remove(target)
  yield* (yield* FileSystem.FileSystem).copyFile(source, target)
  yield* flush(target)
})

export const makeEmpty = Effect.fn("Workspace.makeEmpty")(function* (target: string) {
  yield* remove(target)
  yield* generate(target, 0)
})

const dump = (mode: Mode, lmdb: string, directory: string, snapshot: string) =>
  Child.run(Bundle.scenario, ["send", mode, lmdb, directory, snapshot], ScenarioResult)

export const make = Effect.fn("Workspace.make")(function* (
  directory: string,
  domains: number,
  seed: number,
  mode: Mode
) {
  const at = (name: string) => `${directory}/${domains}-${mode}-${name}`
  const workspace: Workspace = {
    mode,
    domains,
    entries: domains * entriesPerDomain + 2,
    directory,
    lmdb: at("base.mdb"),
    snapshot: at("base.pb.gz"),
    changedSnapshot: at("changed.pb.gz"),
    target: at("target.mdb")
  }
  yield* generate(workspace.lmdb, domains, ["--seed", String(seed), ...(mode === "shadow" ? ["--plain"] : [])])
  yield* flush(workspace.lmdb)
  yield* dump(mode, workspace.lmdb, directory, workspace.snapshot)
  // The dump has created the shadow DBIs.
  if (mode === "shadow") {
    yield* flush(workspace.lmdb)
    return workspace
  }
  yield* copy(workspace.lmdb, workspace.target)
  yield* generate(workspace.target, domains, ["--change", "1"])
  yield* dump(mode, workspace.target, directory, workspace.changedSnapshot)
  yield* remove(workspace.target)
  return workspace
})

export const dispose = Effect.fnUntraced(function* (workspace: Workspace) {
  yield* Effect.forEach([workspace.lmdb, workspace.snapshot, workspace.changedSnapshot, workspace.target], remove)
})

/** Returns the size of a file in bytes. */
export const sizeOf = Effect.fnUntraced(function* (path: string) {
  return Number((yield* (yield* FileSystem.FileSystem).stat(path)).size)
})
