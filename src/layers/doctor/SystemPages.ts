/** Reads the page size of this system from what its kernel passes to each process (Linux). */
import { Effect, FileSystem } from "effect"

/** The type AT_PAGESZ in the auxiliary vector. */
const pageSizeKey = 6n

/** Returns the page size in bytes, or undefined where it cannot be determined. */
export const pageSize = Effect.gen(function* () {
  const bytes = yield* (yield* FileSystem.FileSystem).readFile("/proc/self/auxv")
  const words = new BigUint64Array(new Uint8Array(bytes).buffer, 0, Math.floor(bytes.length / 8))
  for (let i = 0; i + 1 < words.length; i += 2) if (words[i] === pageSizeKey) return Number(words[i + 1])
  return undefined
}).pipe(Effect.orElseSucceed(() => undefined))
