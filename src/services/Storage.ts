/**
 * Object storage: four operations on immutable objects.
 *
 * Guarantees: an object is visible as a whole or not at all, and no whole object is held in memory. Each call is one
 * attempt (except for the parts of a multipart upload); callers retry. A call that hangs ends with `Unavailable` after
 * the configured timeouts. Not guaranteed: that a listing shows an object that another instance has just stored.
 */
import { Context, type Effect, Schema, type Stream } from "effect"

export class ObjectNotFound extends Schema.TaggedError<ObjectNotFound>()("ObjectNotFound", {}) {
  override get message(): string {
    return "no such object: is the name right? A cleaner may have deleted it"
  }
}

/** A body is shorter or longer than the server (load) or the source (store) announced. */
export class WrongSize extends Schema.TaggedError<WrongSize>()("WrongSize", {
  expected: Schema.Int,
  actual: Schema.Int
}) {
  override get message(): string {
    return `announced ${this.expected} bytes, got ${this.actual}`
  }
}

/**
 * The store is unreachable, too slow, throttling, or failing (5xx). `code` is short, such as ECONNREFUSED, SlowDown or
 * 503.
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  code: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `storage unavailable (${this.code}): ${this.detail}`
  }
}

/**
 * The store denies access, or the bucket or directory does not exist. `advice` says what to check.
 */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.String,
  detail: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `storage refused the request (${this.code}): ${this.detail}: ${this.advice}`
  }
}

/** Any failed call; `reason` decides recovery. Messages never contain secrets. */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  /** `open` reads keys and certificates before the first request. `create` creates the bucket or directory. */
  operation: Schema.Literals(["list", "load", "store", "delete", "create", "open"]),
  /** The place of the store, such as `s3 bucket "b" at http://…`. */
  place: Schema.String,
  /** Name of the object, or prefix of a listing. Empty if the error concerns the place as a whole. */
  name: Schema.String,
  reason: Schema.Union([ObjectNotFound, WrongSize, Unavailable, Refused])
}) {
  override get message(): string {
    const { name, operation, place, reason } = this
    if (operation === "open" && reason._tag === "Refused") return `open ${place}: ${reason.detail}: ${reason.advice}`
    return `${operation} ${name === "" ? "" : `"${name}" in `}${place}: ${reason.message}`
  }
  /** True when the failure is transient, so that the same request may succeed in a moment. */
  get isTransient(): boolean {
    return this.reason._tag === "Unavailable"
  }
  /**
   * Includes refusals, because keys rotate and buckets come back while the daemon runs. At start, a refusal is logged
   * as an error at once.
   */
  get retryable(): boolean {
    return this.reason._tag !== "ObjectNotFound"
  }
}

export const StoredObject = Schema.Struct({
  /** Name without the global prefix. */
  name: Schema.String,
  /** Size in bytes. */
  size: Schema.Number,
  /** Changes with the content. Empty if the store provides none. */
  etag: Schema.String
})
export type StoredObject = typeof StoredObject.Type

/**
 * Bytes of known size that can be read more than once and in parts, because stores need checksums before the body, and
 * parts are uploaded in parallel.
 */
export interface Source<E, R> {
  readonly size: number
  /** `start` inclusive, `end` exclusive. Each chunk belongs to the consumer. */
  readonly read: (start: number, end: number) => Stream.Stream<Uint8Array<ArrayBuffer>, E, R>
}

export class Storage extends Context.Service<
  Storage,
  {
    /** The place of the store, for messages. It contains no secrets. */
    readonly place: string
    /**
     * Returns the objects whose names start with `prefix`, in byte order of the names. If nothing has changed, it may
     * return the same array again.
     */
    readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, StorageError>
    /**
     * Emits non-empty chunks, each of which belongs to the consumer. Fails when the body is shorter or longer than
     * announced. `listed` is the object as a listing shows it; a load over a network then fails unless the response is
     * that object.
     */
    readonly load: (name: string, listed?: StoredObject) => Stream.Stream<Uint8Array<ArrayBuffer>, StorageError>
    /**
     * Stores an object and replaces an existing one. Returns the ETag as listings show it, if the store reports it.
     *
     * When the source fails, or is shorter or longer than announced, the earlier object is unchanged. After any other
     * failure the name shows either the earlier object or the whole new one, because the response to a completed upload
     * can be lost, and a directory can fail to sync after the rename. The caller stores the object again.
     */
    readonly store: <E, R>(name: string, source: Source<E, R>) => Effect.Effect<string | void, StorageError | E, R>
    /** Deletes an object. Succeeds if the object does not exist. */
    readonly delete: (name: string) => Effect.Effect<void, StorageError>
  }
>()("lightningstream/services/Storage") {}
