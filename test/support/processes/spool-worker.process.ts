/**
 * Worker of the spool test. It reads what the other thread has spooled, and writes the inverted bytes to a place that
 * the other thread has opened.
 */
import { Effect, Stream } from "effect"
import { parentPort, workerData } from "node:worker_threads"
import { read, writer } from "../../../src/layers/spool/SpoolFile.ts"
import type { Spooled, SpoolPlace } from "../../../src/services/Spool.ts"

const { place, spooled }: { place: SpoolPlace; spooled: Spooled } = workerData
const { append, finish } = writer(place)

const inverted = Stream.runForEach(read(spooled), (chunk) => {
  for (let index = 0; index < chunk.length; index++) chunk[index]! ^= 255
  return append(chunk)
})

Effect.runFork(
  Effect.flatMap(Effect.andThen(inverted, finish), (result) => Effect.sync(() => parentPort?.postMessage(result, [])))
)
