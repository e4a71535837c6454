/**
 * Object storage as Lightning Stream needs it: four verbs over immutable objects.
 *
 * Guarantees: an object is visible whole or not at all, and nothing holds a whole object in memory. Each call is one
 * attempt (but for what an upload in parts needs): retries are the caller's. A call that hangs ends with `Unavailable`
 * after the configured time-outs. Not guaranteed: that a list shows an object stored a moment ago by another instance.
 */
import { Context, type Effect, Schema, type Stream } from "effect"

export class ObjectNotFound extends Schema.TaggedError<ObjectNotFound>()("ObjectNotFound", {}) {
  override get message(): string {
    return "no such object: is the name right? A cleaner may have deleted it"
  }
}

/**
 * A body that ended before, or went on after, the size that was announced: by the server (load) or by the source
 * (store).
 */
export class WrongSize extends Schema.TaggedError<WrongSize>()("WrongSize", {
  expected: Schema.Int,
  actual: Schema.Int
}) {
  override get message(): string {
    return `announced ${this.expected} bytes, got ${this.actual}`
  }
}

/**
 * Unreachable, reset, timed out, throttled, or an error on the server's side (5xx). `code` is short: ECONNREFUSED,
 * SlowDown, 503 …
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  code: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `the store cannot be reached or is not well (${this.code}): ${this.detail}`
  }
}

/**
 * The store says no: credentials, permissions, or a bucket or folder that is not there. `advice` says what to check.
 */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.String,
  detail: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `the store refuses (${this.code}): ${this.detail}: ${this.advice}`
  }
}

/** Any failed call; `reason` decides recovery. Messages never contain secrets. */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  /**
   * `open`: keys, certificates and the like, before anything was asked of the store. `create`: the bucket or folder
   * itself.
   */
  operation: Schema.Literals(["list", "load", "store", "delete", "create", "open"]),
  /** Where: `s3 bucket "b" at http://…`, `folder /srv/…`. */
  place: Schema.String,
  /** The object's name, or the prefix of a list. Empty where the place as a whole is meant. */
  name: Schema.String,
  reason: Schema.Union([ObjectNotFound, WrongSize, Unavailable, Refused])
}) {
  override get message(): string {
    const { name, operation, place, reason } = this
    if (operation === "open" && reason._tag === "Refused") return `open ${place}: ${reason.detail}: ${reason.advice}`
    return `${operation} ${name === "" ? "" : `"${name}" in `}${place}: ${reason.message}`
  }
  /** The store or the way to it is not well: the same request may succeed in a moment. */
  get isTransient(): boolean {
    return this.reason._tag === "Unavailable"
  }
  /**
   * Refused too: while the daemon runs, keys rotate and buckets come back. At start it is logged as an error at once.
   */
  get retryable(): boolean {
    return this.reason._tag !== "ObjectNotFound"
  }
}

export interface StoredObject {
  /** Without the global prefix. */
  readonly name: string
  /** In bytes. */
  readonly size: number
  /** Changes with the content; empty where the store has none. */
  readonly etag: string
}

/**
 * Bytes of known size that can be read more than once and in parts, as stores want checksums before the body, and parts
 * side by side.
 */
export interface Source<E, R> {
  readonly size: number
  /** `start` inclusive, `end` exclusive. Each chunk belongs to the consumer. */
  readonly read: (start: number, end: number) => Stream.Stream<Uint8Array<ArrayBuffer>, E, R>
}

export class Storage extends Context.Service<
  Storage,
  {
    /** Where it is, for people; no secrets. */
    readonly place: string
    /**
     * Objects whose name starts with `prefix`, in byte order of the names. May be the very array of the last listing if
     * nothing has changed.
     */
    readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, StorageError>
    /**
     * Chunks of any size but zero; each belongs to the consumer. Fails when the body is shorter or longer than
     * announced. `listed`: the object as a listing shows it; a load over a network then fails unless the response is
     * that object.
     */
    readonly load: (name: string, listed?: StoredObject) => Stream.Stream<Uint8Array<ArrayBuffer>, StorageError>
    /**
     * Replaces what is there. A failure, also of the source, leaves what was there before. Gives the ETag, as a listing
     * shows it, where the store tells; nothing otherwise.
     */
    readonly store: <E, R>(name: string, source: Source<E, R>) => Effect.Effect<string | void, StorageError | E, R>
    /** Succeeds when the object is already gone. */
    readonly delete: (name: string) => Effect.Effect<void, StorageError>
  }
>()("lightningstream/services/Storage") {}
