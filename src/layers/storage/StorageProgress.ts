/**
 * A `Storage` that shows the progress of loads, for commands whose user waits for them. The size of an object is known
 * only when its load begins, so the total grows with each load.
 */
import { Effect, Layer, Stream } from "effect"
import { Progress } from "../../services/Progress.ts"
import { Storage } from "../../services/Storage.ts"

export const layerWith = (label: string) =>
  Layer.effect(
    Storage,
    Effect.gen(function* () {
      const storage = yield* Storage
      const { measure } = yield* Progress
      let total = 0
      const meter = yield* measure({
        label,
        unit: "bytes",
        get total() {
          return total
        }
      })
      return Storage.of({
        ...storage,
        load: (name, listed) =>
          Stream.suspend(() => {
            total += listed?.size ?? 0
            return Stream.tap(storage.load(name, listed), (chunk) => Effect.sync(() => meter.add(chunk.length)))
          })
      })
    })
  )
