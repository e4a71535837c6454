/** The checks of `doctor` for the bucket and the connection to it. The module is loaded when the command runs. */
import { Effect, Layer } from "effect"
import * as EndpointProbe from "../../layers/doctor/EndpointProbe.ts"
import * as Compressions from "../../layers/compression/Compressions.ts"
import { endpointOf } from "../../layers/storage/s3/S3Endpoint.ts"
import * as StorageConfigured from "../../layers/storage/StorageConfigured.ts"
import * as EndpointFindings from "../../programs/doctor/EndpointFindings.ts"
import { error, type Finding } from "../../programs/doctor/Finding.ts"
import * as PermissionsCheck from "../../programs/doctor/PermissionsCheck.ts"
import * as SnapshotsCheck from "../../programs/doctor/SnapshotsCheck.ts"
import type { SettingsValues } from "../../services/Settings.ts"
import { Storage } from "../../services/Storage.ts"

const targetOf = ({ storage }: SettingsValues): URL | undefined =>
  storage.type === "s3"
    ? endpointOf(storage.options).target
    : storage.type === "azure"
      ? new URL(storage.options.endpoint_url)
      : undefined

/** Returns undefined if the bucket is not on a server. */
export const endpoint = Effect.fnUntraced(function* (settings: SettingsValues) {
  const target = targetOf(settings)
  if (target === undefined || !("tls" in settings.storage.options)) return undefined
  const place = `${target.protocol}//${target.host}`
  return yield* EndpointProbe.probe(settings.storage.options, target).pipe(
    Effect.map((facts) => ({ isReached: true, findings: EndpointFindings.findings(place, facts) })),
    Effect.catch((reason) =>
      Effect.succeed({ isReached: false, findings: EndpointFindings.unreachable(place, reason) })
    )
  )
})

export const permissions = ({ instance, storage }: SettingsValues, instanceText: (name: string) => string) =>
  PermissionsCheck.findings(instanceText(instance), storage.type, storage.cleanup.enabled)

/** Returns the findings about the snapshots of one database. */
export const snapshots = (database: string) => SnapshotsCheck.findings(database)

/** Returns the size of the largest object in bytes, or undefined if the bucket cannot be listed. */
export const largestObject = Storage.use(({ list }) => list("")).pipe(
  Effect.map((objects) => objects.reduce((most, { size }) => Math.max(most, size), 0)),
  Effect.orElseSucceed(() => undefined)
)

/** The services that the checks of the bucket need. */
export const layer = Layer.merge(StorageConfigured.unmarked, Compressions.layer)

export const cannotOpen = (message: string): ReadonlyArray<Finding> => [
  error("storage", message, "nothing is received or sent", "correct storage.options")
]
