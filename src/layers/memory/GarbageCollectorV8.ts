/**
 * `GarbageCollector` of V8. A collection runs in one go and takes 10 to 34 ms when all cores are busy. `gc` normally
 * requires the command line flag --expose-gc. Setting the flag at run time adds `gc` to contexts created afterwards, so
 * this module creates a context to obtain it, and the daemon can be started without the flag.
 *
 * Not guaranteed: that anything is collected while less than 4 MiB of buffers are in use. V8 collects such amounts on
 * its own schedule; otherwise many small snapshots would cost a collection each.
 */
import { Effect, Layer } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { GarbageCollector } from "../../services/GarbageCollector.ts"

const makeGc = (): (() => void) => {
  v8.setFlagsFromString("--expose-gc")
  return vm.runInNewContext("gc")
}

/** The number of bytes in buffers of this thread, shared ones included, from which a collection is worthwhile. */
const worthwhile = 4 * 2 ** 20

export const layer = Layer.sync(GarbageCollector, () => {
  const gc = makeGc()
  return GarbageCollector.of({
    collect: Effect.sync(() => {
      if (process.memoryUsage().arrayBuffers >= worthwhile) gc()
    })
  })
})
