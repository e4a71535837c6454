/**
 * A merge and its application, which commits just before the merge's transactions begin; and what must come of both.
 */
import { Effect } from "effect"
import * as DbiName from "../../../src/domain/DbiName.ts"
import * as LmdbMemory from "../../../src/layers/LmdbMemory.ts"
import type { DatabaseOptions } from "../../../src/services/Database.ts"
import type { WriteTransaction } from "../../../src/services/Lmdb.ts"
import type { DecodedSnapshot } from "../../domain/DecodedSnapshot.ts"
import { contentOf, mergeSnapshot, shown } from "../LastWriteWins.ts"
import { databaseOptions, merge, over, putRaw, raw } from "./Environments.ts"
import { hooked } from "./HookedLmdb.ts"
import { type Lines, objectOf, rawDbis, snapshot } from "./Snapshots.ts"

export type Commit = (transaction: WriteTransaction) => void

/**
 * An environment with this content, whose application commits `commits[n]` just before the merge's n-th transaction
 * begins.
 */
export const beside = Effect.fnUntraced(function* (
  local: Lines,
  commits: ReadonlyArray<Commit | undefined>,
  overrides: Partial<DatabaseOptions> = {}
) {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  yield* application.write(putRaw(rawDbis(local)))
  const withCommits = hooked(layer, {
    beforeWrite: (before) => {
      const commit = commits[before]
      return commit === undefined ? Effect.void : application.write(commit)
    }
  })
  return { application, layer: over(withCommits, databaseOptions(overrides)) }
})

export const put = (content: Lines): Commit => putRaw(rawDbis(content))

export const drop =
  (name: string): Commit =>
  (transaction) =>
    transaction.drop(DbiName.fromText(name))

/** Content after a merge, and its result. */
export const merged = (decoded: DecodedSnapshot) =>
  Effect.gen(function* () {
    const result = yield* merge(objectOf(decoded))
    return { result, content: shown(contentOf(yield* raw)) }
  })

/** The model's: everything that was ever written by anybody. */
export const model = (...writers: ReadonlyArray<Lines>) =>
  shown(writers.reduce((content, lines) => mergeSnapshot(content, snapshot(lines)), contentOf([])))
