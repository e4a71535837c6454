/**
 * What the clients of S3 and Azure have in common around their SDKs: keys and certificates as of each request, errors
 * as reasons, timeouts.
 *
 * An interruption of `send` aborts the request and waits until the SDK has released the socket.
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
  /** As in `StorageError`. */
  readonly place: string
  /** One attempt. */
  readonly send: <A>(request: Request<Client, A>) => Effect.Effect<A, StorageReason>
  /** For answers whose body is read later: until then `controller` can abort it. No timeout. */
  readonly sendWith: <A>(request: Request<Client, A>, controller: AbortController) => Effect.Effect<A, StorageReason>
  /** The SDK's errors in the stream of a body. */
  readonly reasonOf: (error: unknown) => StorageReason
  readonly fail: (operation: StorageError["operation"], name: string, reason: StorageReason) => StorageError
}

export const late = (setting: string, duration: Duration.Duration) =>
  new Unavailable({ code: "Timeout", detail: `not done within ${setting} (${Duration.format(duration)})` })

export const within =
  (setting: string, duration: Duration.Duration) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.timeoutOrElse(effect, { duration, orElse: () => Effect.fail(late(setting, duration)) })

/** `notThere`: what "no such object" means where no object was asked for. */
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
  /** For the next request. */
  readonly client: () => Client
  readonly agent: StorageAgent
  readonly keys: KeySource
  readonly reasonOf: (error: unknown) => StorageReason
  /** A refusal that keys which were replaced in the meantime explain. */
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
