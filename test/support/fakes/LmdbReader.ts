/** Starts lmdb-reader.process.ts, which reads LMDBs until the scope closes. */
import { Effect, Queue } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a process with a channel for messages
import { fork } from "node:child_process"

/** A DBI. Keys and values are hexadecimal. */
export interface ReadDbi {
  readonly name: string
  readonly flags: number
  readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

export interface Reading {
  readonly dbis: ReadonlyArray<ReadDbi>
}

/** Returns a function that reads the DBIs of an LMDB whose names are valid UTF-8. */
export const make = Effect.gen(function* () {
  const readings = yield* Queue.unbounded<Reading | undefined>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(new URL("../processes/lmdb-reader.process.ts", import.meta.url), {
        execPath: process.execPath,
        execArgv: []
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  child.on("message", (reading: Reading) => Queue.offerUnsafe(readings, reading))
  child.on("exit", () => Queue.offerUnsafe(readings, undefined))
  return Effect.fnUntraced(function* (path: string) {
    yield* Effect.sync(() => child.send(path))
    const reading = yield* Queue.take(readings)
    return reading === undefined
      ? yield* Effect.die(new Error(`the process that reads ${path} has ended`))
      : reading.dbis
  })
})

export type LmdbReader = Effect.Success<typeof make>
