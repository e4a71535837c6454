/**
 * Decorates any `Storage` for `use_update_marker` to save listings, which stores charge for and which are slow in large
 * buckets. An object, the marker, is rewritten after each store and delete. While the marker is byte for byte the same
 * and the forced interval has not passed, a listing is served from the cached one. An idle poll is then one small read.
 * Source: docs/configuration.md, Update marker.
 *
 * Guarantees: a listing shows every store and delete whose marker existed when the listing began; one cache serves all
 * prefixes; the marker itself is never listed. A store or delete fails if its marker could not be written, since other
 * instances would not see the change. Not guaranteed: that changes by instances that do not use the marker are seen
 * before the forced interval has passed.
 */
import { Clock, Duration, Effect, Layer, Semaphore, Stream } from "effect"
import { type Source, Storage, StorageError, type StoredObject, Unavailable } from "../../services/Storage.ts"

export const markerName = "update-marker"

/** A larger object is not a marker of ours and is not kept in memory. */
const markerBytesAtMost = 65_536

export interface MarkerOptions {
  /** Global prefix of the underlying store. Markers hold full names. */
  readonly globalPrefix: string
  readonly forceListInterval: Duration.Duration
  /** `client_timeout`, where it applies to an operation including its marker. */
  readonly timeout?: Duration.Duration
}

interface Listing {
  readonly marker: string
  readonly objects: ReadonlyArray<StoredObject>
  /** Nanoseconds of the monotonic clock from before the listing was made. */
  readonly at: bigint
}

const isMissing = (error: StorageError) => error.reason._tag === "ObjectNotFound"

const withoutMarker = (objects: ReadonlyArray<StoredObject>) => objects.filter(({ name }) => name !== markerName)

/** Returns undefined when there is no marker to rely on. */
const readMarker = (inner: Storage["Service"]) =>
  Stream.runFold(
    inner.load(markerName),
    (): Array<Uint8Array> | undefined => [],
    (chunks, chunk) => {
      const length = chunks?.reduce((sum, { length }) => sum + length, chunk.length) ?? Infinity
      return length > markerBytesAtMost ? undefined : [...(chunks ?? []), chunk]
    }
  ).pipe(
    // Compared byte for byte, because damaged bytes could compare equal after decoding as UTF-8.
    Effect.map((chunks) => (chunks === undefined ? undefined : Buffer.concat(chunks).toString("latin1"))),
    Effect.catchIf(isMissing, () => Effect.undefined)
  )

const sourceOf = (text: string): Source<never, never> => {
  const bytes = new Uint8Array(Buffer.from(text))
  return { size: bytes.length, read: (start, end) => Stream.succeed(bytes.slice(start, end)) }
}

/**
 * Each marker of this process is later than the previous one, because two equal markers would hide the changes between
 * them.
 */
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
  /** Counts our own changes. A listing that began before the latest change is not cached. */
  let changes = 0

  const fresh = (marker: string) =>
    Effect.map(Clock.monotonicTimeNanos, (now) =>
      cache !== undefined && cache.marker === marker && now - cache.at < interval ? cache.objects : undefined
    )

  const listAll = Effect.fnUntraced(function* (marker: string) {
    // Another poll may have listed while this one waited for the permit.
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
    // Read without holding the permit, so that the reads of many databases run concurrently.
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

/** Hides the marker of other instances from listings when `use_update_marker` is off. */
export const hidden: Layer.Layer<Storage, never, Storage> = Layer.effect(
  Storage,
  Effect.map(Storage, (inner) =>
    Storage.of({ ...inner, list: (prefix) => Effect.map(inner.list(prefix), withoutMarker) })
  )
)
