/** The part of a source that one request of an upload carries, and the retries of a failed request. */
import { Effect, Schedule, Stream } from "effect"
import { type Source, StorageError } from "../../../services/Storage.ts"
import { badResponse } from "./ResponseErrors.ts"
import { sized } from "../ExactSize.ts"
import { etagOf } from "./ObjectRequests.ts"
import type { StorageClient } from "./SdkClient.ts"

export interface Range<E, R> {
  readonly size: number
  /** Fails with WrongSize when the source does not have the announced length. */
  readonly bytes: Stream.Stream<Uint8Array<ArrayBuffer>, E | StorageError, R>
}

/** `start` is inclusive, `end` exclusive. */
export const rangeOf = <E, R>(
  { fail }: Pick<StorageClient<never, unknown>, "fail">,
  name: string,
  source: Source<E, R>,
  start: number,
  end: number
): Range<E, R> => ({
  size: end - start,
  bytes: Stream.suspend(() => sized(end - start, (reason) => fail("store", name, reason))(source.read(start, end)))
})

/** Retries of one part. The caller retries the whole object. */
const retries = { times: 3, schedule: Schedule.exponential("200 millis") }

/** Sends a part again a few times while the failure is transient. */
export const retryPart = <A, E, R>(send: Effect.Effect<A, E, R>) =>
  Effect.retry(send, { ...retries, while: (error: E) => error instanceof StorageError && error.isTransient })

/**
 * Returns the ETag of the stored object as listings show it. A response without one is not from a store, so nothing was
 * stored.
 */
export const storedEtag = (header: string | undefined) => {
  const etag = etagOf(header)
  return etag === "" ? Effect.fail(badResponse("it has no ETag: nothing was stored")) : Effect.succeed(etag)
}
