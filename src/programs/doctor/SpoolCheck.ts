/**
 * The room in the directory for spooled snapshots. Whether it is there and can be written to is looked at with the
 * configuration.
 */
import { type Finding, ok, warning } from "./Finding.ts"

const check = "spool"

export interface SpoolFacts {
  readonly directory: string
  /** Undefined where it cannot be told. */
  readonly freeBytes: number | undefined
  /** Bytes of the largest object in the bucket; undefined where it could not be listed. */
  readonly largestBytes: number | undefined
}

export const findings = ({ directory, freeBytes, largestBytes }: SpoolFacts): ReadonlyArray<Finding> => {
  if (freeBytes === undefined) return [ok(check, `${directory} can be used`)]
  // The one that is sent, and one that is received.
  if (largestBytes === undefined || freeBytes >= 2 * largestBytes)
    return [ok(check, `${directory} has ${freeBytes} bytes free`)]
  return [
    warning(
      check,
      `${directory} has ${freeBytes} bytes free, the largest object in the bucket has ${largestBytes}`,
      "snapshots larger than spool_memory are received and sent through it, and are retried until there is room",
      "free space there, or set spool_directory to a directory on a larger disk"
    )
  ]
}
