/**
 * `node bench/holder.ts FILE MILLIS`: holds LMDB's write lock for MILLIS milliseconds, as an application with a long
 * transaction would, and writes nothing. Prints `held` when it has the lock.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- written within a transaction, where nothing may be waited for
import * as fs from "node:fs"
import * as Bare from "./BareLmdb.ts"

const [path, millis] = process.argv.slice(2) as [string, string]

Effect.sync(() => Bare.holdLock(Bare.open(path), Number(millis), () => fs.writeSync(1, "held\n"))).pipe(
  NodeRuntime.runMain
)
