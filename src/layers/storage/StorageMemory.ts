/**
 * `Storage` in this process, for the configured type `memory`, tests and the simulation. Each build of the layer is a
 * new, empty store. No other layer holds whole objects. ETags are consecutive numbers, so a run with the same calls
 * returns the same ones.
 */
import { Effect, Layer, Stream } from "effect"
import { ObjectNotFound, type Source, Storage, StorageError } from "../../services/Storage.ts"
import { sortByName } from "./Listing.ts"
import { sized } from "./ExactSize.ts"

const place = "memory"
const chunkBytes = 65_536

const collect = Effect.fnUntraced(function* <E, R>(name: string, source: Source<E, R>) {
  const bytes = new Uint8Array(source.size)
  let end = 0
  const whole = sized(source.size, (reason) => new StorageError({ operation: "store", place, name, reason }))
  yield* Stream.runForEach(whole(source.read(0, source.size)), (chunk) =>
    Effect.sync(() => {
      bytes.set(chunk, end)
      end += chunk.length
    })
  )
  return bytes
})

export const layer: Layer.Layer<Storage> = Layer.sync(Storage, () => {
  const objects = new Map<string, { readonly bytes: Uint8Array<ArrayBuffer>; readonly etag: string }>()
  let stores = 0
  return Storage.of({
    place,
    list: (prefix) =>
      Effect.sync(() =>
        sortByName(
          Array.from(objects, ([name, { bytes, etag }]) => ({ name, size: bytes.length, etag })).filter((object) =>
            object.name.startsWith(prefix)
          )
        )
      ),
    load: (name) =>
      Stream.suspend(() => {
        const bytes = objects.get(name)?.bytes
        if (bytes === undefined) {
          return Stream.fail(new StorageError({ operation: "load", place, name, reason: new ObjectNotFound() }))
        }
        return Stream.unfold(0, (start) =>
          Effect.sync(() =>
            start < bytes.length ? ([bytes.slice(start, start + chunkBytes), start + chunkBytes] as const) : undefined
          )
        )
      }),
    store: (name, source) =>
      Effect.map(collect(name, source), (bytes) => {
        const etag = String(++stores)
        objects.set(name, { bytes, etag })
        return etag
      }),
    delete: (name) => Effect.sync(() => void objects.delete(name))
  })
})
