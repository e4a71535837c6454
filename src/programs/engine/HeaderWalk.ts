/** Walks the native headers of a DBI: those of the application's values in native mode, otherwise those of a shadow. */
import { Effect } from "effect"
import type { DbiName } from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import type { ReadTransaction } from "../../services/Lmdb.ts"
import type { Meter } from "../../services/Progress.ts"
import { attempt, inSlices, stepsPerLook } from "./Engine.ts"
import { notNative } from "./NotNative.ts"

/**
 * Calls `visit` for each entry, with the value and the offset of its header. Fails at a value without a header. `meter`
 * counts the entries.
 */
export const walkHeaders = Effect.fnUntraced(function* (
  view: ReadTransaction,
  dbi: DbiName,
  visit: (value: Uint8Array, start: number) => void,
  meter?: Meter
) {
  const cursor = yield* Effect.acquireRelease(
    attempt(() => view.cursor(dbi)),
    (cursor) => Effect.sync(() => cursor.close())
  )
  yield* inSlices((deadline) => {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        if (!cursor.next()) {
          meter?.add(step)
          return true
        }
        const { value, valueEnd, valueStart } = cursor
        const code = NativeHeader.readHeader(value, valueStart, valueEnd)
        if (code < 0) throw notNative(dbi, cursor, code)
        visit(value, valueStart)
      }
      meter?.add(stepsPerLook)
      if (performance.now() >= deadline) return false
    }
  })
}, Effect.scoped)
