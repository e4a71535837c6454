/** Starts lmdb-writer.process.ts, which makes random writes without pauses. */
import { Effect, type Scope } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a process with a channel for messages
import { type ChildProcess, fork } from "node:child_process"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"

export interface WriterOptions {
  readonly path: string
  readonly mapSize: number
  readonly seed: number
  readonly useWritemap: boolean
  /** Number of transactions after which the process ends. If absent, it runs until the scope closes. */
  readonly transactions?: number
}

/** DBIs that all writers share, with their flags, one of each kind that LMDB has. */
export const kinds: Readonly<Record<string, number>> = {
  plain: 0,
  large: 0,
  integer: DbiFlags.INTEGERKEY,
  reverse: DbiFlags.REVERSEKEY,
  duplicates: DbiFlags.DUPSORT,
  fixed: DbiFlags.DUPSORT | DbiFlags.DUPFIXED,
  "duplicates of integers": DbiFlags.DUPSORT | DbiFlags.INTEGERKEY,
  "integer duplicates": DbiFlags.DUPSORT | DbiFlags.DUPFIXED | DbiFlags.INTEGERDUP,
  "reversed duplicates": DbiFlags.DUPSORT | DbiFlags.REVERSEDUP
}

/** The DBI of one writer, which it fills, empties, drops and recreates, sometimes with MDB_DUPSORT. */
export const ownName = (seed: number): string => `own ${seed}`

/** Key in that DBI, whose value is another one each time that the DBI is created or filled again. */
export const generationKey = Buffer.from("generation")

const spawn = (options: WriterOptions): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      fork(new URL("./lmdb-writer.process.ts", import.meta.url), [JSON.stringify(options)], {
        execPath: process.execPath,
        execArgv: []
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Starts a writer, and waits until it has created its DBIs. */
export const start = (options: WriterOptions) =>
  Effect.gen(function* () {
    const child = yield* spawn(options)
    const state = { ended: false, pid: child.pid! }
    yield* Effect.callback<void>((resume) => {
      child.once("message", () => resume(Effect.void))
      child.once("exit", () => {
        state.ended = true
        resume(Effect.void)
      })
    })
    return state
  })

/** Runs a writer to its end, and returns its exit code. The same options write the same file. */
export const run = (options: WriterOptions & { readonly transactions: number }) =>
  Effect.flatMap(spawn(options), (child) =>
    Effect.callback<number | null>((resume) => void child.once("exit", (code) => resume(Effect.succeed(code))))
  )
