/**
 * `node bench/writer.ts FILE SECONDS PER_SECOND`: an application that writes all the time, with one record per
 * transaction. Reports the number of transactions, and the size of the file before and after.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Effect, FileSystem } from "effect"
import * as Bare from "./BareLmdb.ts"
import * as NativeEntry from "./NativeEntry.ts"
import type { WriterReport } from "./Results.ts"

const [path, seconds, perSecond] = process.argv.slice(2) as [string, string, string]

/** Number of records that are written in turn, which are far from each other in key order. */
const records = 20_000

const keyOf = (n: number): string => `grow ${(n * 7_919) % records}`

const environment = Bare.open(path)
const dbi = Bare.openDbi(environment, "records_v5")

const write = Effect.fnUntraced(function* (n: number) {
  NativeEntry.put(environment, dbi, keyOf(n), "a record that is written again and again", yield* Clock.currentTimeNanos)
})

Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const size = Effect.map(fs.stat(path), (stat) => Number(stat.size))
  environment.transactionSync(() => {
    for (let n = 0; n < records; n++) NativeEntry.putIn(dbi, keyOf(n), "a record", 1n)
  })
  const before = yield* size
  const began = performance.now()
  const end = began + 1000 * Number(seconds)
  let transactions = 0
  for (; performance.now() < end; transactions++) {
    yield* write(transactions)
    const ahead = (1000 * transactions) / Number(perSecond) - (performance.now() - began)
    if (ahead > 1) yield* Effect.sleep(ahead)
  }
  const report: WriterReport = { transactions, before, after: yield* size }
  yield* Console.log(JSON.stringify(report))
}).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
