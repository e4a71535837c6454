/**
 * `node demo/fill.ts FILE COUNT` writes that many entries into a separate DBI of an LMDB of the demonstration, so that
 * the size of what is sent for one change can be compared with that of everything.
 */
import { Clock, Effect } from "effect"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Bare from "../bench/BareLmdb.ts"
import * as NativeEntry from "../bench/NativeEntry.ts"
import { mapSize } from "./Arrivals.ts"

NodeRuntime.runMain(
  Effect.gen(function* () {
    const [file, count] = process.argv.slice(2)
    const now = yield* Clock.currentTimeNanos
    const environment = Bare.open(file!, mapSize)
    const dbi = Bare.openDbi(environment, "other", true)
    environment.transactionSync(() => {
      for (let index = 0; index < Number(count); index++) {
        NativeEntry.putIn(dbi, `key ${index}`, `value ${index}`, now)
      }
    })
  })
)
