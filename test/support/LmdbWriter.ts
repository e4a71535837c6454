/** Starts lmdb-writer.process.ts, which writes at random and without a pause until the scope closes. */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a process with a channel for messages
import { fork } from "node:child_process"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"

export interface WriterOptions {
  readonly path: string
  readonly mapSize: number
  readonly seed: number
  readonly useWritemap: boolean
}

/**
 * DBIs that all writers share, with their flags: each kind that LMDB has. Each writer has one of its own, too, which it
 * drops and makes again.
 */
export const kinds: Readonly<Record<string, number>> = {
  plain: 0,
  large: 0,
  integer: DbiFlags.INTEGERKEY,
  reverse: DbiFlags.REVERSEKEY,
  duplicates: DbiFlags.DUPSORT,
  fixed: DbiFlags.DUPSORT | DbiFlags.DUPFIXED,
  "integer duplicates": DbiFlags.DUPSORT | DbiFlags.DUPFIXED | DbiFlags.INTEGERDUP,
  "reversed duplicates": DbiFlags.DUPSORT | DbiFlags.REVERSEDUP
}

/** Returns when it has made its DBIs. */
export const start = (options: WriterOptions) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        fork(new URL("./lmdb-writer.process.ts", import.meta.url), [JSON.stringify(options)], {
          execPath: process.execPath,
          execArgv: []
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const state = { ended: false }
    yield* Effect.callback<void>((resume) => {
      child.once("message", () => resume(Effect.void))
      child.once("exit", () => {
        state.ended = true
        resume(Effect.void)
      })
    })
    return state
  })
