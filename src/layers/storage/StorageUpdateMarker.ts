/**
 * Saves listings, which stores charge for and which take long in large buckets: a decorator over any `Storage` for
 * `use_update_marker`. An object, the marker, is rewritten after each store and delete; as long as it is byte for byte
 * the same, and the forced interval has not passed, a listing is answered from the one before. An idle poll is then one
 * small read. Source: docs/configuration.md, Update marker.
 *
 * Guarantees: a listing shows every store and delete whose marker was there when the listing began; one cache serves
 * all prefixes; the marker itself is never listed. A store or delete whose marker could not be written has failed, as
 * others would not see it. Not guaranteed: that instances which don't use the marker are seen before the forced
 * interval has passed.
 */
import { Clock, Duration, Effect, Layer, Semaphore, Stream } from "effect"
import { type Source, Storage, StorageError, type StoredObject, Unavailable } from "../../services/Storage.ts"

export const markerName = "update-marker"

/** No marker is that long: one that is comes from elsewhere, and is not kept in memory. */
const markerBytesAtMost = 65_536

export interface MarkerOptions {
  /** Of the store below: markers hold full names. */
  readonly globalPrefix: string
  readonly forceListInterval: Duration.Duration
  /** `client_timeout`, where it is that of an operation with its marker. */
  readonly timeout?: Duration.Duration
}

interface Listing {
  readonly marker: string
  readonly objects: ReadonlyArray<StoredObject>
  /** Nanoseconds of the monotonic clock, from before it was made. */
  readonly at: bigint
}

const isMissing = (error: StorageError) => error.reason._tag === "ObjectNotFound"

const withoutMarker = (objects: ReadonlyArray<StoredObject>) => objects.filter(({ name }) => name !== markerName)

/** Undefined when there is none that could be relied on. */
const readMarker = (inner: Storage["Service"]) =>
  Stream.runFold(
    inner.load(markerName),
    (): Array<Uint8Array> | undefined => [],
    (chunks, chunk) => {
      const length = chunks?.reduce((sum, { length }) => sum + length, chunk.length) ?? Infinity
      return length > markerBytesAtMost ? undefined : [...(chunks ?? []), chunk]
    }
  ).pipe(
    // Byte for byte: text would take damaged bytes for equal.
    Effect.map((chunks) => (chunks === undefined ? undefined : Buffer.concat(chunks).toString("latin1"))),
    Effect.catchIf(isMissing, () => Effect.undefined)
  )

const sourceOf = (text: string): Source<never, never> => {
  const bytes = new Uint8Array(Buffer.from(text))
  return { size: bytes.length, read: (start, end) => Stream.succeed(bytes.slice(start, end)) }
}

/** Each marker of this process is later than the one before: two that are equal would hide what lies between. */
const makeNextNanos = () => {
  let last = 0n
  return Effect.map(Clock.currentTimeNanos, (now) => {
    last = now > last ? now : last + 1n
    return last
  })
}

const make = Effect.fnUntraced(function* (options: MarkerOptions) {
  const inner = yield* Storage
  const interval = Duration.toNanosUnsafe(options.forceListInterval)
  const nextNanos = makeNextNanos()
  const listings = yield* Semaphore.make(1)
  let cache: Listing | undefined
  /** Counts our own changes: a listing that began before one is not remembered. */
  let changes = 0

  const fresh = (marker: string) =>
    Effect.map(Clock.monotonicTimeNanos, (now) =>
      cache !== undefined && cache.marker === marker && now - cache.at < interval ? cache.objects : undefined
    )

  const listAll = Effect.fnUntraced(function* (marker: string) {
    // Another poll may have listed while this one waited for its turn.
    const remembered = yield* fresh(marker)
    if (remembered !== undefined) return remembered
    const before = changes
    const at = yield* Clock.monotonicTimeNanos
    const objects = withoutMarker(yield* inner.list(""))
    if (changes === before) cache = { marker, objects, at }
    return objects
  })

  const dropCache = Effect.sync(() => {
    changes++
    cache = undefined
  })

  const mark = Effect.fnUntraced(function* (name: string, etag: string, isDelete: boolean) {
    yield* inner.store(markerName, sourceOf(`${options.globalPrefix}${name}:${etag}:${yield* nextNanos}:${isDelete}`))
  })

  const within = <A, E, R>(effect: Effect.Effect<A, E, R>, operation: StorageError["operation"], name: string) => {
    const { timeout } = options
    if (timeout === undefined) return effect
    const detail = `not done within client_timeout (${Duration.format(timeout)}), the update marker included`
    const late = new StorageError({
      operation,
      place: inner.place,
      name,
      reason: new Unavailable({ code: "Timeout", detail })
    })
    return Effect.timeoutOrElse(effect, { duration: timeout, orElse: () => Effect.fail(late) })
  }

  const list = Effect.fn("StorageUpdateMarker.list")(function* (prefix: string) {
    // Outside of the permit: reads of many databases go side by side.
    const marker = yield* readMarker(inner)
    if (marker === undefined) return withoutMarker(yield* inner.list(prefix))
    const objects = (yield* fresh(marker)) ?? (yield* listings.withPermits(1)(listAll(marker)))
    return objects.filter(({ name }) => name.startsWith(prefix))
  })

  const store = Effect.fnUntraced(function* <E, R>(name: string, source: Source<E, R>) {
    const etag = yield* Effect.ensuring(inner.store(name, source), dropCache)
    yield* mark(name, etag ?? "", false)
    return etag
  })

  return Storage.of({
    place: inner.place,
    list: (prefix) => within(list(prefix), "list", prefix),
    load: inner.load,
    store: (name, source) => within(store(name, source), "store", name),
    delete: (name) =>
      within(Effect.andThen(Effect.ensuring(inner.delete(name), dropCache), mark(name, "", true)), "delete", name)
  })
})

export const layerWith = (options: MarkerOptions): Layer.Layer<Storage, never, Storage> =>
  Layer.effect(Storage, make(options))

/** Without `use_update_marker`: the marker of others is not listed either. */
export const hidden: Layer.Layer<Storage, never, Storage> = Layer.effect(
  Storage,
  Effect.map(Storage, (inner) =>
    Storage.of({ ...inner, list: (prefix) => Effect.map(inner.list(prefix), withoutMarker) })
  )
)
