/**
 * `Spool` in memory without a limit, for tests and the simulation. It shares the code of `SpoolFile`, but never needs
 * the file.
 */
import { Effect, Layer } from "effect"
import { Spool } from "../../services/Spool.ts"
import { read, readInto, revise, writer } from "./SpoolFile.ts"

export const layer = Layer.succeed(Spool, {
  open: Effect.succeed({ fd: -1, directory: "memory", memoryLimit: Number.MAX_SAFE_INTEGER }),
  writer,
  revise,
  read,
  readInto
})
