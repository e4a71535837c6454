/**
 * Checks the permissions of the credentials by trying each operation on a probe object below the prefix. The name of
 * the probe is not that of a snapshot, and the probe is deleted at the end.
 */
import { Effect, Random, Result, Stream } from "effect"
import { Storage, type StorageError } from "../../services/Storage.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "permissions"

type Operation = "list" | "put" | "get" | "delete"

/** The S3 action of each operation, and what needs it. */
const needs: Readonly<Record<Operation, { readonly action: string; readonly why: string }>> = {
  list: { action: "s3:ListBucket", why: "without it nothing is received or sent" },
  put: { action: "s3:PutObject", why: "without it sync cannot send, only receive works" },
  get: { action: "s3:GetObject", why: "without it nothing is received" },
  delete: { action: "s3:DeleteObject", why: "without it the cleaner cannot remove old snapshots" }
}

const failed = (operation: Operation, { message, reason }: StorageError, isNeeded: boolean): Finding => {
  const { action, why } = needs[operation]
  const isDenied = reason._tag === "Refused"
  const what = isDenied ? `${operation} is refused: ${message}` : `${operation} fails: ${message}`
  const todo = isDenied
    ? `if the bucket, the keys and the prefix are right, give them the permission to ${operation} (S3: ${action})`
    : "look at the endpoint and the network, and try again"
  return (isNeeded ? error : warning)(check, what, why, todo)
}

const content = new TextEncoder().encode("of lightningstream doctor, which deletes it\n")

const source = {
  size: content.length,
  read: (start: number, end: number) => Stream.make(content.slice(start, end))
}

const same = (chunks: ReadonlyArray<Uint8Array>): boolean => Buffer.concat(chunks).equals(Buffer.from(content))

const damaged = error(
  check,
  "what was put came back with other bytes",
  "snapshots would be corrupt",
  "look for a proxy that changes bodies, or ask the owner of the store"
)

const getProbe = (storage: Storage["Service"], name: string) =>
  Stream.runCollect(storage.load(name)).pipe(
    Effect.map((chunks): Finding => (same(chunks) ? ok(check, "get works") : damaged)),
    Effect.catch((failure) => Effect.succeed(failed("get", failure, true)))
  )

const deleteProbe = (storage: Storage["Service"], name: string, isCleaning: boolean) =>
  storage.delete(name).pipe(
    Effect.as(ok(check, "delete works")),
    Effect.catch((failure) => {
      const finding = failed("delete", failure, isCleaning)
      return Effect.succeed({ ...finding, todo: `${finding.todo}; remove the object ${name}` })
    })
  )

/** Reads the first listed object instead of the probe, which could not be put. */
const getListed = (storage: Storage["Service"], name: string) =>
  Stream.runDrain(Stream.take(storage.load(name), 1)).pipe(
    Effect.as(ok(check, "get works")),
    Effect.catch((failure) => Effect.succeed(failed("get", failure, true)))
  )

const tried = Effect.fnUntraced(function* (storage: Storage["Service"], name: string, isCleaning: boolean) {
  const listed = yield* Effect.result(storage.list(""))
  const list = Result.isSuccess(listed)
    ? ok(check, `list works: ${listed.success.length} objects in ${storage.place}`)
    : failed("list", listed.failure, true)
  const put = yield* Effect.result(storage.store(name, source))
  if (Result.isSuccess(put)) {
    const get = yield* getProbe(storage, name)
    return [list, ok(check, "put works"), get, yield* deleteProbe(storage, name, isCleaning)]
  }
  const some = Result.isSuccess(listed) ? listed.success[0]?.name : undefined
  return [list, failed("put", put.failure, true), ...(some === undefined ? [] : [yield* getListed(storage, some)])]
})

/** Returns the findings and never fails. `isCleaning` is true if the cleaner is on. */
export const findings = Effect.fn("Doctor.permissions")(function* (instance: string, isCleaning: boolean) {
  const storage = yield* Storage
  const name = `doctor-${instance}-${Math.floor((yield* Random.next) * 2 ** 32).toString(16)}`
  return yield* Effect.onInterrupt(tried(storage, name, isCleaning), () => Effect.ignore(storage.delete(name)))
})
