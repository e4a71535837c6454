/** A decorator of `Lmdb` that counts the steps and lookups of all cursors of read transactions. */
import { Effect, type Layer } from "effect"
import type { Lmdb, LmdbError, ReadTransaction } from "../../../src/services/Lmdb.ts"
import { replacing } from "./ReplacedLmdb.ts"

export interface CursorCounts {
  steps: number
  seeks: number
}

const counted =
  (cursor: ReadTransaction["cursor"], counts: CursorCounts): ReadTransaction["cursor"] =>
  (dbi, from) => {
    const inner = cursor(dbi, from)
    const { next, seek } = inner
    return Object.assign(inner, {
      next: () => {
        counts.steps++
        return next.call(inner)
      },
      seek: (...args: Parameters<typeof seek>) => {
        counts.seeks++
        return seek.apply(inner, args)
      }
    })
  }

export const counting = (lmdb: Layer.Layer<Lmdb, LmdbError>, counts: CursorCounts) =>
  replacing(lmdb, (inner) => ({
    read: Effect.map(inner.read, (view) => {
      const { cursor } = view
      return Object.assign(view, { cursor: counted(cursor, counts) })
    })
  }))
