/** Starts a process that holds the write lock of an LMDB for a while. */
import { Effect } from "effect"
import * as Child from "./Child.ts"

const holder = new URL("./holder.ts", import.meta.url)

/** Succeeds when the process has the lock. The process ends with the scope at the latest. */
export const hold = (path: string, millis: number) => Effect.asVoid(Child.firstLine(holder, [path, String(millis)]))
