/**
 * Composes `Storage` from the requests of a store's SDK. Every operation first creates the bucket, if that is
 * configured, has a span, and fails with a `StorageError`. A load ends within `client_timeout`, its body included.
 */
import { type Duration, Effect, Stream } from "effect"
import { Storage, type StorageError, type StoredObject } from "../../../services/Storage.ts"
import * as StorageMeter from "../StorageMeter.ts"
import * as CreateOnce from "./CreateOnce.ts"
import type { StorageReason } from "./ResponseErrors.ts"
import * as SdkClient from "./SdkClient.ts"

/** The requests of one store. */
export interface SdkRequests {
  readonly create: Effect.Effect<void, StorageReason>
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, StorageReason>
  readonly load: Storage["Service"]["load"]
  readonly store: Storage["Service"]["store"]
  readonly remove: (name: string) => Effect.Effect<void, StorageReason>
}

export interface SdkStorageOptions {
  /** Name of the layer, for spans. */
  readonly layer: string
  readonly initTimeout: Duration.Duration
  readonly clientTimeout: Duration.Duration
  /** Counts the call that creates the bucket. Undefined if the bucket is not to be created. */
  readonly countCreation: ReturnType<typeof StorageMeter.call> | undefined
}

export const make = Effect.fnUntraced(function* (
  client: Pick<SdkClient.StorageClient<never, unknown>, "place" | "fail">,
  requests: SdkRequests,
  { clientTimeout, countCreation, initTimeout, layer }: SdkStorageOptions
) {
  const failing =
    (operation: StorageError["operation"], name: string) =>
    <A>(effect: Effect.Effect<A, StorageReason>) =>
      Effect.mapError(effect, (reason) => client.fail(operation, name, reason))

  const created =
    countCreation === undefined
      ? Effect.void
      : yield* CreateOnce.before(
          requests.create.pipe(SdkClient.within("init_timeout", initTimeout), failing("create", ""), countCreation)
        )
  const run = <A, E, R>(operation: StorageError["operation"], effect: Effect.Effect<A, E, R>) =>
    Effect.withSpan(Effect.andThen(created, effect), `${layer}.${operation}`)

  const tooLate = SdkClient.late("client_timeout", clientTimeout)
  return Storage.of({
    place: client.place,
    list: (prefix) => run("list", failing("list", prefix)(requests.list(prefix))),
    load: (name, listed) => {
      const timeout = Effect.andThen(Effect.sleep(clientTimeout), Effect.fail(client.fail("load", name, tooLate)))
      return Stream.unwrap(Effect.as(created, Stream.interruptWhen(requests.load(name, listed), timeout)))
    },
    store: (name, source) => run("store", requests.store(name, source)),
    delete: (name) => run("delete", failing("delete", name)(requests.remove(name)))
  })
})
