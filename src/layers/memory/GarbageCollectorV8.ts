/**
 * `GarbageCollector` of V8, in one go: 10 to 34 ms, where all cores are busy. `gc` is normally reached with the command
 * line flag --expose-gc; setting the flag at run time adds `gc` to contexts made from then on, so one is made to take
 * it from. That way nobody has to remember the flag when starting the daemon.
 *
 * Not guaranteed: that anything is collected where less than 4 MiB of buffers are in use. That little is left for V8 to
 * find: many small snapshots would cost a collection each.
 */
import { Effect, Layer } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { GarbageCollector } from "../../services/GarbageCollector.ts"

const makeGc = (): (() => void) => {
  v8.setFlagsFromString("--expose-gc")
  return vm.runInNewContext("gc")
}

/** Bytes of all buffers of this thread, shared ones included. */
const worthwhile = 4 * 2 ** 20

export const layer = Layer.sync(GarbageCollector, () => {
  const gc = makeGc()
  return GarbageCollector.of({
    collect: Effect.sync(() => {
      if (process.memoryUsage().arrayBuffers >= worthwhile) gc()
    })
  })
})
