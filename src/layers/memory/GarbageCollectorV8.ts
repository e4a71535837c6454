/**
 * `GarbageCollector` of V8. `gc` is normally reached with the command line flag --expose-gc; setting the flag at run
 * time adds `gc` to contexts made from then on, so one is made to take it from. That way nobody has to remember the
 * flag when starting the daemon.
 */
import { Effect, Layer, Option } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { GarbageCollector } from "../../services/GarbageCollector.ts"

const makeGc = (): (() => void) => {
  v8.setFlagsFromString("--expose-gc")
  return vm.runInNewContext("gc")
}

/** In one go: for a thread that has nothing else to do meanwhile. */
export const layer = Layer.sync(GarbageCollector, () => GarbageCollector.of({ collect: Effect.sync(makeGc()) }))

/** Bytes outside of its heap at which V8 begins to collect, if so many were added since the last time: 64 MiB. */
const noticed = 64 * 2 ** 20 + 1

/** In milliseconds. It takes 20, or 100 where cores are rare. */
const patience = 200

/**
 * For a thread that must not be blocked: in one go it takes 10 to 30 ms where all cores are busy, in steps no more than
 * 5 at a time.
 *
 * V8 begins by itself when much memory outside of its heap is in use. It does not count shared memory, so it is shown
 * something else: pages that nobody touches, which are given back at once. It is done when an object that nobody refers
 * to is gone. If it had begun before, and so found less, it has to begin again. In one go after all where that is of no
 * avail, or so much address space is not to be had.
 */
export const layerInSteps = Layer.sync(GarbageCollector, () => {
  const registry = new FinalizationRegistry<() => void>((done) => done())
  const inSteps = Effect.callback<void>((resume) => {
    registry.register({}, () => resume(Effect.void))
    new ArrayBuffer(noticed).transfer(0)
  })
  const inOneGo = Effect.sync(makeGc())
  return GarbageCollector.of({
    collect: Effect.timeoutOption(Effect.interruptible(inSteps), patience).pipe(
      Effect.repeat({ until: Option.isSome, times: 4 }),
      Effect.flatMap((done) => (Option.isSome(done) ? Effect.void : inOneGo)),
      Effect.catchDefect(() => inOneGo)
    )
  })
})
