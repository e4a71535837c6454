/**
 * `drop-shadow`: drops our own DBIs (`_sync*`) of every configured database, each in one transaction. A database that
 * fails is reported, and the next one follows. Neither files nor DBIs are created. Source: docs/cli.md.
 */
import { Effect, type Layer } from "effect"
import * as DbiName from "../domain/lmdb/DbiName.ts"
import { Lmdb, type LmdbError, type LmdbOptions } from "../services/Lmdb.ts"
import type { TaskTarget } from "../services/LmdbTask.ts"

const privateDbis = (dbis: ReadonlyArray<{ readonly name: DbiName.DbiName }>) =>
  dbis.map(({ name }) => name).filter(DbiName.isPrivate)

/** Drops our own DBIs and returns their names. If there are none, the write lock is not taken. */
export const dropPrivate = Effect.gen(function* () {
  const { read, write } = yield* Lmdb
  const found = yield* Effect.scoped(Effect.map(read, ({ dbis }) => privateDbis(dbis)))
  if (found.length === 0) return []
  const { value } = yield* write((transaction) =>
    Effect.sync(() => {
      const names = privateDbis(transaction.dbis())
      for (const name of names) transaction.drop(name)
      return names
    })
  )
  return value
})

/** Returns the exit code. */
export const run = Effect.fn("DropShadow.run")(function* (
  targets: ReadonlyArray<Pick<TaskTarget, "database" | "lmdb">>,
  open: (options: LmdbOptions) => Layer.Layer<Lmdb, LmdbError>
) {
  let code = 0
  for (const { database, lmdb } of targets) {
    code |= yield* Effect.provide(dropPrivate, open(lmdb), { local: true }).pipe(
      Effect.flatMap((names) =>
        Effect.logInfo("Dropped shadow DBIs", { dbis: names.map(DbiName.display), path: lmdb.path })
      ),
      Effect.as(0),
      Effect.catchTag("LmdbError", (error) => Effect.as(Effect.logError("Cannot drop shadow DBIs", error), 1)),
      Effect.annotateLogs({ db: database })
    )
  }
  return code
})
