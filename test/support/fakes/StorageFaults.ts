/**
 * A decorator for tests that makes any `Storage` misbehave as scripted, and counts its calls. Faults are consumed in
 * the order in which they were added, each by the first call that it fits; calls that no fault fits pass through.
 */
import { Clock, Context, Duration, Effect, Layer, Stream } from "effect"
import { sortByName } from "../../../src/layers/storage/Listing.ts"
import {
  type ObjectNotFound,
  Refused,
  Storage,
  StorageError,
  type StoredObject,
  Unavailable,
  type WrongSize
} from "../../../src/services/Storage.ts"

export type Operation = "list" | "load" | "store" | "delete"
type Reason = ObjectNotFound | WrongSize | Unavailable | Refused

export type Fault =
  /** The call fails without any effect. */
  | { readonly kind: "fail"; readonly reason: Reason }
  /** The call takes effect, but the response is lost. A load returns all its bytes and then fails. */
  | { readonly kind: "fail after"; readonly reason: Reason }
  /** A load fails with `Unavailable` after that many bytes. */
  | { readonly kind: "cut"; readonly bytes: number }
  /**
   * A load ends after that many bytes as if the object were complete, like that of a truncated object in the bucket.
   */
  | { readonly kind: "truncate"; readonly bytes: number }
  /** A load returns the object with this bit of this byte flipped. */
  | { readonly kind: "flip"; readonly byte: number; readonly bit: number }
  /** A load returns more bytes than the object has. */
  | { readonly kind: "extend"; readonly tail: Uint8Array<ArrayBuffer> }
  /** The call never ends, but can be interrupted. */
  | { readonly kind: "hang" }
  /**
   * The call does nothing for this time and then fails with `Unavailable`, like a call that hangs in a layer with
   * timeouts.
   */
  | { readonly kind: "time out"; readonly after: Duration.Input }
  | { readonly kind: "delay"; readonly duration: Duration.Input }
  /** A load returns chunks of that many bytes, with a pause before each. */
  | { readonly kind: "trickle"; readonly bytes: number; readonly pause: Duration.Input }
  /** A list returns the state of that long ago, as far as its stores and deletes went through this decorator. */
  | { readonly kind: "list lags"; readonly behind: Duration.Input }
  /**
   * A list contains an object that no longer exists (`list shows`), or does not contain an existing one (`list hides`).
   */
  | { readonly kind: "list shows"; readonly name: string; readonly size: number }
  | { readonly kind: "list hides"; readonly name: string }

export interface Target {
  readonly operation: Operation
  /** Name of the object, or prefix of a list. Any if absent. */
  readonly name?: string | RegExp
  /** Number of calls that it affects. 1 if absent. Infinity: until `clear`. */
  readonly times?: number
}

/** The control of a test over the faults. */
export class StorageFaults extends Context.Service<
  StorageFaults,
  {
    readonly add: (target: Target, fault: Fault) => Effect.Effect<void>
    /** Ends all faults. Calls that already hang continue to hang. */
    readonly clear: Effect.Effect<void>
    /** All calls so far, oldest first, including those of decorators above and below this one. */
    readonly calls: Effect.Effect<ReadonlyArray<{ readonly operation: Operation; readonly name: string }>>
  }
>()("lightningstream/test/StorageFaults") {}

export const unavailable = new Unavailable({ code: "ECONNRESET", detail: "injected" })

const passing = (code: string) =>
  ({ kind: "fail", reason: new Unavailable({ code, detail: "injected" }) }) satisfies Fault

const timedOut = new Unavailable({ code: "Timeout", detail: "injected" })

/** Faults of servers and networks, by name. Each of them can apply to every operation. */
export const outages: Readonly<Record<string, Fault>> = {
  "a refused connection": passing("ECONNREFUSED"),
  "a reset": { kind: "fail", reason: unavailable },
  "a lost answer": { kind: "fail after", reason: unavailable },
  "a hang": { kind: "time out", after: "15 seconds" },
  "a 500": passing("InternalError"),
  "a 503": passing("SlowDown"),
  "a 403": { kind: "fail", reason: new Refused({ code: "AccessDenied", detail: "injected", advice: "check the keys" }) }
}

type Bytes<E, R> = Stream.Stream<Uint8Array<ArrayBuffer>, E, R>

const take =
  (count: number) =>
  <E, R>(bytes: Bytes<E, R>): Bytes<E, R> =>
    Stream.suspend(() => {
      let left = count
      return bytes.pipe(
        Stream.takeWhile(() => left > 0),
        Stream.map((chunk) => {
          const part = chunk.slice(0, left)
          left -= part.length
          return part
        })
      )
    })

const flip =
  (byte: number, bit: number) =>
  <E, R>(bytes: Bytes<E, R>): Bytes<E, R> =>
    Stream.suspend(() => {
      let start = 0
      return Stream.map(bytes, (chunk) => {
        const at = byte - start
        start += chunk.length
        if (at < 0 || at >= chunk.length) return chunk
        const flipped = chunk.slice()
        flipped[at] = flipped[at]! ^ (1 << bit)
        return flipped
      })
    })

const trickle =
  (size: number, pause: Duration.Input) =>
  <E, R>(bytes: Bytes<E, R>): Bytes<E, R> =>
    bytes.pipe(
      Stream.flatMap((chunk) =>
        Stream.fromIterable(
          Array.from({ length: Math.ceil(chunk.length / size) }, (_, i) => chunk.slice(i * size, (i + 1) * size))
        )
      ),
      Stream.tap(() => Effect.sleep(pause))
    )

/** Records each change that goes through this decorator, and therefore the state at any time. */
const makePast = (inner: Storage["Service"]) => {
  const changes: Array<{ readonly at: number; readonly name: string; readonly object: StoredObject | undefined }> = []
  return {
    changed: Effect.fnUntraced(function* (name: string) {
      const at = yield* Clock.currentTimeMillis
      changes.push({ at, name, object: (yield* inner.list(name)).find((object) => object.name === name) })
    }),
    listAt: (time: number, prefix: string): ReadonlyArray<StoredObject> => {
      const objects = new Map<string, StoredObject>()
      for (const { at, name, object } of changes) {
        if (at > time || !name.startsWith(prefix)) continue
        if (object === undefined) objects.delete(name)
        else objects.set(name, object)
      }
      return sortByName(Array.from(objects.values()))
    }
  }
}

/** Returns the listing that a call gets under this fault. */
const listed = (fault: Fault | undefined, objects: ReadonlyArray<StoredObject>): ReadonlyArray<StoredObject> => {
  if (fault?.kind === "list hides") return objects.filter(({ name }) => name !== fault.name)
  if (fault?.kind === "list shows")
    return sortByName([...objects, { name: fault.name, size: fault.size, etag: "gone" }])
  return objects
}

interface Active {
  readonly target: Target
  readonly fault: Fault
  left: number
}

const fits = ({ target, left }: Active, operation: Operation, name: string) =>
  left > 0 &&
  target.operation === operation &&
  (target.name === undefined || (typeof target.name === "string" ? target.name === name : target.name.test(name)))

const make = Effect.gen(function* () {
  const inner = yield* Storage
  const past = makePast(inner)
  const calls: Array<{ readonly operation: Operation; readonly name: string }> = []
  let active: Array<Active> = []

  const next = (operation: Operation, name: string): Fault | undefined => {
    calls.push({ operation, name })
    const hit = active.find((candidate) => fits(candidate, operation, name))
    if (hit === undefined) return undefined
    hit.left--
    return hit.fault
  }
  const failure = (operation: Operation, name: string, reason: Reason) =>
    Effect.fail(new StorageError({ operation, place: inner.place, name, reason }))

  const around =
    (operation: Operation, name: string) =>
    <A, E, R>(call: (fault: Fault | undefined) => Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | StorageError, R> => {
        const fault = next(operation, name)
        switch (fault?.kind) {
          case "fail":
            return failure(operation, name, fault.reason)
          case "fail after":
            return Effect.andThen(call(fault), failure(operation, name, fault.reason))
          case "hang":
            return Effect.never
          case "time out":
            return Effect.delay(failure(operation, name, timedOut), fault.after)
          case "delay":
            return Effect.delay(call(fault), fault.duration)
          default:
            return call(fault)
        }
      })

  const load = (name: string, listed?: StoredObject): Bytes<StorageError, never> =>
    Stream.suspend(() => {
      const fault = next("load", name)
      const bytes = inner.load(name, listed)
      const fail = (reason: Reason) => Stream.fromEffectDrain(failure("load", name, reason))
      switch (fault?.kind) {
        case "fail":
          return fail(fault.reason)
        case "fail after":
          return Stream.concat(bytes, fail(fault.reason))
        case "cut":
          return Stream.concat(take(fault.bytes)(bytes), fail(unavailable))
        case "truncate":
          return take(fault.bytes)(bytes)
        case "flip":
          return flip(fault.byte, fault.bit)(bytes)
        case "extend":
          return Stream.concat(bytes, Stream.succeed(fault.tail))
        case "hang":
          return Stream.never
        case "time out":
          return Stream.concat(Stream.fromEffectDrain(Effect.sleep(fault.after)), fail(timedOut))
        case "trickle":
          return trickle(fault.bytes, fault.pause)(bytes)
        case "delay":
          return Stream.concat(Stream.fromEffectDrain(Effect.sleep(fault.duration)), bytes)
        default:
          return bytes
      }
    })

  const storage = Storage.of({
    place: inner.place,
    list: (prefix) =>
      around(
        "list",
        prefix
      )((fault) =>
        fault?.kind === "list lags"
          ? Effect.map(Clock.currentTimeMillis, (now) => past.listAt(now - Duration.toMillis(fault.behind), prefix))
          : Effect.map(inner.list(prefix), (objects) => listed(fault, objects))
      ),
    load,
    store: (name, source) =>
      around("store", name)(() => Effect.tap(inner.store(name, source), () => past.changed(name))),
    delete: (name) => around("delete", name)(() => Effect.tap(inner.delete(name), () => past.changed(name)))
  })
  const faults = StorageFaults.of({
    add: (target, fault) => Effect.sync(() => void active.push({ target, fault, left: target.times ?? 1 })),
    clear: Effect.sync(() => {
      active = []
    }),
    calls: Effect.sync(() => calls.slice())
  })
  return Context.make(Storage, storage).pipe(Context.add(StorageFaults, faults))
})

/** Returns a `Storage` on top of another one, and the `StorageFaults` that control it. */
export const layer: Layer.Layer<Storage | StorageFaults, never, Storage> = Layer.effectContext(make)
