/**
 * Checks the permissions of the credentials by trying each operation on a probe object below the prefix. The name of
 * the probe is not that of a snapshot, and the probe is deleted at the end.
 */
import { Effect, Random, Result, Stream } from "effect"
import type { SettingsValues } from "../../services/Settings.ts"
import { Storage, type StorageError } from "../../services/Storage.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "permissions"

type Operation = "list" | "put" | "get" | "delete"

type StorageType = SettingsValues["storage"]["type"]

const reasons: Readonly<Record<Operation, string>> = {
  list: "without it, nothing is received or sent",
  put: "without it, sync cannot send, and only receive works",
  get: "without it, nothing is received",
  delete: "without it, the cleaner cannot delete old snapshots"
}

/** The S3 action that permits each operation. */
const actions: Readonly<Record<Operation, string>> = {
  list: "s3:ListBucket",
  put: "s3:PutObject",
  get: "s3:GetObject",
  delete: "s3:DeleteObject"
}

const reader = "Storage Blob Data Reader"
const contributor = "Storage Blob Data Contributor"

/** The least role of Azure that permits each operation. */
const roles: Readonly<Record<Operation, string>> = {
  list: reader,
  put: contributor,
  get: reader,
  delete: contributor
}

/** Says what to do about a refusal, in the terms of the store. */
const permissionAdvice = (type: StorageType, operation: Operation): string => {
  switch (type) {
    case "s3":
      return `if the bucket, the keys and the prefix are right, give the keys the permission ${actions[operation]}`
    case "azure":
      return (
        "if the container, the credentials and the prefix are right, " +
        `give the identity the role ${roles[operation]} for the container`
      )
    case "fs":
    case "memory":
      return "if the path is right, give this user read and write access to the directory"
  }
}

interface Probing {
  readonly storage: Storage["Service"]
  readonly type: StorageType
  /** Name of the probe object. */
  readonly name: string
  readonly isCleaning: boolean
}

const failed = (
  { type }: Probing,
  operation: Operation,
  { message, reason }: StorageError,
  isNeeded: boolean
): Finding => {
  const isDenied = reason._tag === "Refused"
  const what = isDenied ? `${operation} is refused: ${message}` : `${operation} fails: ${message}`
  const todo = isDenied ? permissionAdvice(type, operation) : "check the endpoint and the network, and try again"
  return (isNeeded ? error : warning)(check, what, reasons[operation], todo)
}

const content = new TextEncoder().encode("of lightningstream doctor, which deletes it\n")

const source = {
  size: content.length,
  read: (start: number, end: number) => Stream.make(content.slice(start, end))
}

const same = (chunks: ReadonlyArray<Uint8Array>): boolean => Buffer.concat(chunks).equals(Buffer.from(content))

const damaged = error(
  check,
  "the downloaded object differs from the uploaded one",
  "snapshots would be corrupt",
  "look for a proxy that changes bodies, or ask the operator of the store"
)

const getProbe = (probing: Probing) =>
  Stream.runCollect(probing.storage.load(probing.name)).pipe(
    Effect.map((chunks): Finding => (same(chunks) ? ok(check, "get works") : damaged)),
    Effect.catch((failure) => Effect.succeed(failed(probing, "get", failure, true)))
  )

const deleteProbe = (probing: Probing) =>
  probing.storage.delete(probing.name).pipe(
    Effect.as(ok(check, "delete works")),
    Effect.catch((failure) => {
      const finding = failed(probing, "delete", failure, probing.isCleaning)
      return Effect.succeed({ ...finding, todo: `${finding.todo}; remove the object ${probing.name}` })
    })
  )

/** Reads the first listed object instead of the probe, which could not be put. */
const getListed = (probing: Probing, name: string) =>
  Stream.runDrain(Stream.take(probing.storage.load(name), 1)).pipe(
    Effect.as(ok(check, "get works")),
    Effect.catch((failure) => Effect.succeed(failed(probing, "get", failure, true)))
  )

const tried = Effect.fnUntraced(function* (probing: Probing) {
  const { name, storage } = probing
  const listed = yield* Effect.result(storage.list(""))
  const list = Result.isSuccess(listed)
    ? ok(check, `list works: ${listed.success.length} objects in ${storage.place}`)
    : failed(probing, "list", listed.failure, true)
  const put = yield* Effect.result(storage.store(name, source))
  if (Result.isSuccess(put)) {
    const get = yield* getProbe(probing)
    return [list, ok(check, "put works"), get, yield* deleteProbe(probing)]
  }
  const some = Result.isSuccess(listed) ? listed.success[0]?.name : undefined
  return [
    list,
    failed(probing, "put", put.failure, true),
    ...(some === undefined ? [] : [yield* getListed(probing, some)])
  ]
})

/** Returns the findings and never fails. `isCleaning` is true if the cleaner is on. */
export const findings = Effect.fn("Doctor.permissions")(function* (
  instance: string,
  type: StorageType,
  isCleaning: boolean
) {
  const storage = yield* Storage
  const name = `doctor-${instance}-${Math.floor((yield* Random.next) * 2 ** 32).toString(16)}`
  return yield* Effect.onInterrupt(tried({ storage, type, name, isCleaning }), () =>
    Effect.ignore(storage.delete(name))
  )
})
