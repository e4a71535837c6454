/**
 * Counts the use of a `Storage`: bytes by kind of object and, for S3 and Azure, calls with their durations and errors.
 * It is placed below the update marker, whose reads and writes are calls as well.
 */
import { Clock, Effect, Layer, Stream } from "effect"
import { azureCalls, families, s3Calls } from "../../domain/metrics/MetricFamilies.ts"
import { type ObjectKind, parse } from "../../domain/snapshot/SnapshotName.ts"
import { add, observe, set } from "../../services/Metrics.ts"
import { Storage, StorageError } from "../../services/Storage.ts"
import { markerName } from "./StorageUpdateMarker.ts"

export type Method = "list" | "load" | "store" | "delete" | "create-bucket" | "create-container"

const familiesOf = { s3: s3Calls, azure: azureCalls } as const

/** The stores whose calls Lightning Stream counts. */
export type CountedStore = keyof typeof familiesOf

/** Node's error codes of name resolution. */
const isOfNames = (code: string): boolean => code === "ENOTFOUND" || code.startsWith("EAI_")

/** Node's error codes of connections, which have an underscore (ERR_…, UND_ERR_…) or are the system's. */
const isOfConnection = (code: string): boolean => /^(E[A-Z0-9]+|ERR_\w+|[A-Z]+(_[A-Z]+)+)$/.test(code)

/** Returns the kind of an error as Lightning Stream names it. A code of the server is in camel case, or a status. */
export const errorTypeOf = ({ reason }: StorageError): string => {
  switch (reason._tag) {
    case "ObjectNotFound":
      return "NotFound"
    case "WrongSize":
      return "Unknown"
    default:
      if (reason.code === "Timeout" || reason.code === "ETIMEDOUT") return "Timeout"
      if (isOfNames(reason.code)) return "DNSError"
      if (isOfConnection(reason.code)) return "URLError"
      return reason.code === "" ? "Unknown" : reason.code
  }
}

const failed = (store: CountedStore, method: Method, error: StorageError) =>
  Effect.gen(function* () {
    const counted = familiesOf[store]
    yield* add(counted.errors, { method }, 1)
    yield* add(counted.errorTypes, { method, error: errorTypeOf(error) }, 1)
  })

const begun = Effect.fnUntraced(function* (store: CountedStore, method: Method) {
  const counted = familiesOf[store]
  yield* add(counted.calls, { method }, 1)
  yield* set(counted.lastCall, { method }, (yield* Clock.currentTimeMillis) / 1e3)
  return yield* Clock.monotonicTimeNanos
})

const ended = (store: CountedStore, method: Method, began: bigint) =>
  Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
    observe(familiesOf[store].duration, { method }, Number(now - began) / 1e9)
  )

/** Loading a missing object is not an error: it was deleted between the listing and the load. */
const isError = (method: Method, error: unknown): error is StorageError =>
  error instanceof StorageError && !(method === "load" && error.reason._tag === "ObjectNotFound")

/** Measures one call. */
export const call =
  (store: CountedStore, method: Method) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(begun(store, method), (began) =>
      effect.pipe(
        Effect.tapError((error) => (isError(method, error) ? failed(store, method, error) : Effect.void)),
        Effect.ensuring(ended(store, method, began))
      )
    )

/** Measures a call that ends with its stream. */
const streamCall = <A, E, R>(store: CountedStore, stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.unwrap(
    Effect.map(begun(store, "load"), (began) =>
      stream.pipe(
        Stream.tapError((error) => (isError("load", error) ? failed(store, "load", error) : Effect.void)),
        Stream.ensuring(ended(store, "load", began))
      )
    )
  )

const kindOf = (name: string): "marker" | ObjectKind | "other" =>
  name === markerName ? "marker" : (parse(name)?.kind ?? "other")

const bytes = (direction: "up" | "down", name: string, count: number) =>
  add(families.storageBytes, { direction, kind: kindOf(name) }, count)

const loadWithBytes = <E, R>(
  name: string,
  stream: Stream.Stream<Uint8Array<ArrayBuffer>, E, R>
): Stream.Stream<Uint8Array<ArrayBuffer>, E, R> =>
  Stream.suspend(() => {
    let received = 0
    const count = (chunk: Uint8Array<ArrayBuffer>) => {
      received += chunk.length
      return chunk
    }
    return stream.pipe(Stream.map(count), Stream.ensuring(Effect.suspend(() => bytes("down", name, received))))
  })

/** Counts bytes received by a failed load, but not bytes sent by a failed store, whose number is not known. */
const withBytes = (inner: Storage["Service"]): Storage["Service"] => ({
  ...inner,
  load: (name) => loadWithBytes(name, inner.load(name)),
  store: (name, source) => Effect.tap(inner.store(name, source), bytes("up", name, source.size))
})

const withCalls = (inner: Storage["Service"], store: CountedStore): Storage["Service"] => ({
  ...inner,
  list: (prefix) => call(store, "list")(inner.list(prefix)),
  load: (name) => streamCall(store, inner.load(name)),
  store: (name, source) => call(store, "store")(inner.store(name, source)),
  delete: (name) => call(store, "delete")(inner.delete(name))
})

const layerOf = (wrap: (inner: Storage["Service"]) => Storage["Service"]): Layer.Layer<Storage, never, Storage> =>
  Layer.effect(Storage, Effect.map(Storage, wrap))

/** Counts bytes only. */
export const layer = layerOf(withBytes)

/** Counts bytes and calls. */
export const layerWith = (store: CountedStore) => layerOf((inner) => withCalls(withBytes(inner), store))
