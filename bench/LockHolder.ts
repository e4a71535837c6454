/** Another process that has the write lock of an LMDB for a while. */
import { Effect } from "effect"
import * as Child from "./Child.ts"

const holder = new URL("./holder.ts", import.meta.url)

/** Succeeds when it has the lock; it ends with the scope, if not before. */
export const hold = (path: string, millis: number) => Effect.asVoid(Child.firstLine(holder, [path, String(millis)]))
