/**
 * `node demo/put.ts FILE KEY VALUE` writes an entry into an LMDB of the demonstration, as an application with native
 * headers does: the value follows the time of the change. The daemon of that LMDB detects the entry and sends it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Console, Effect, FileSystem } from "effect"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Bare from "../bench/BareLmdb.ts"
import * as NativeEntry from "../bench/NativeEntry.ts"
import { dbiName, mapSize } from "./Arrivals.ts"

const longestKey = 511

const problemOf = Effect.fnUntraced(function* (
  file: string | undefined,
  key: string | undefined,
  value: string | undefined
) {
  if (file === undefined || key === undefined || value === undefined) return "usage: node demo/put.ts FILE KEY VALUE"
  const { exists } = yield* FileSystem.FileSystem
  if (!(yield* exists(file))) return `${file} is not there: is the demonstration still running?`
  return key === "" || Buffer.byteLength(key) > longestKey ? `a key has 1 to ${longestKey} bytes` : undefined
})

Effect.gen(function* () {
  const [file, key, value] = process.argv.slice(2)
  const problem = yield* problemOf(file, key, value)
  if (problem !== undefined) {
    yield* Console.error(problem)
    yield* Effect.sync(() => void (process.exitCode = 2))
    return
  }
  const environment = Bare.open(file!, mapSize)
  NativeEntry.put(environment, Bare.openDbi(environment, dbiName, true), key!, value!, yield* Clock.currentTimeNanos)
}).pipe(Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
