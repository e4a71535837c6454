/**
 * `Storage` that shows how much is loaded, for a command whose loads a person waits for. What is loaded is known when a
 * load begins, so the total grows with each.
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
