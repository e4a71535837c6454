/** The page size of this system, as its kernel tells each process (Linux). */
import { Effect, FileSystem } from "effect"

/** AT_PAGESZ of the auxiliary vector. */
const pageSizeKey = 6n

/** Bytes; undefined where it cannot be told. */
export const pageSize = Effect.gen(function* () {
  const bytes = yield* (yield* FileSystem.FileSystem).readFile("/proc/self/auxv")
  const words = new BigUint64Array(new Uint8Array(bytes).buffer, 0, Math.floor(bytes.length / 8))
  for (let i = 0; i + 1 < words.length; i += 2) if (words[i] === pageSizeKey) return Number(words[i + 1])
  return undefined
}).pipe(Effect.orElseSucceed(() => undefined))
