/**
 * Common parts of the clients of S3 and Azure around their SDKs: keys and certificates that are current at each
 * request, conversion of errors, timeouts.
 *
 * Interrupting `send` aborts the request and waits until the SDK has released the socket.
 */
import { Duration, Effect } from "effect"
import { type Refused, StorageError, Unavailable } from "../../../services/Storage.ts"
import type { StorageReason } from "./ResponseErrors.ts"
import type { StorageAgent } from "./HttpAgent.ts"
import type { KeySource } from "./KeyFiles.ts"

/** Calls one method of the SDK's client: `(client, options) => client.send(new GetObjectCommand(…), options)`. */
export type Request<Client, A> = (client: Client, options: { readonly abortSignal: AbortSignal }) => Promise<A>

export interface StorageClient<Client, Options> {
  readonly options: Options
  /** The same as in `StorageError`. */
  readonly place: string
  /** Makes one attempt. */
  readonly send: <A>(request: Request<Client, A>) => Effect.Effect<A, StorageReason>
  /** For responses whose body is read later, until which `controller` can abort the request. It has no timeout. */
  readonly sendWith: <A>(request: Request<Client, A>, controller: AbortController) => Effect.Effect<A, StorageReason>
  /** Converts errors of the SDK that occur in the stream of a body. */
  readonly reasonOf: (error: unknown) => StorageReason
  readonly fail: (operation: StorageError["operation"], name: string, reason: StorageReason) => StorageError
}

export const late = (setting: string, duration: Duration.Duration) =>
  new Unavailable({ code: "Timeout", detail: `not done within ${setting} (${Duration.format(duration)})` })

export const within =
  (setting: string, duration: Duration.Duration) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.timeoutOrElse(effect, { duration, orElse: () => Effect.fail(late(setting, duration)) })

/** `notThere` is the error that replaces "no such object" where no object was requested. */
export const failing =
  (place: string, notThere: Refused): StorageClient<never, never>["fail"] =>
  (operation, name, reason) =>
    new StorageError({
      operation,
      place,
      name,
      reason: reason._tag === "ObjectNotFound" && operation !== "load" ? notThere : reason
    })

interface Parts<Client> {
  /** Returns the client for the next request. */
  readonly client: () => Client
  readonly agent: StorageAgent
  readonly keys: KeySource
  readonly reasonOf: (error: unknown) => StorageReason
  /** True for a refusal that may be due to keys that were replaced in the meantime. */
  readonly mayBeStale: (reason: StorageReason) => boolean
}

export const sending =
  <Client>({ agent, client, keys, mayBeStale, reasonOf }: Parts<Client>): StorageClient<Client, never>["sendWith"] =>
  <A>(request: Request<Client, A>, controller: AbortController) =>
    Effect.andThen(keys.refresh, agent.refresh).pipe(
      Effect.andThen(
        Effect.callback<A, StorageReason>((resume) => {
          const settled = request(client(), { abortSignal: controller.signal }).then(
            (answer) => resume(Effect.succeed(answer)),
            (error: unknown) => resume(Effect.fail(reasonOf(error)))
          )
          return Effect.promise(() => {
            controller.abort()
            return settled
          })
        })
      ),
      Effect.tapError((reason) => (mayBeStale(reason) ? keys.forget : Effect.void))
    )
