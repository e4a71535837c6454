/**
 * Checks the free space in the spool directory. The checks of the configuration already make sure that the directory
 * exists and is writable.
 */
import { type Finding, ok, warning } from "./Finding.ts"

const check = "spool"

export interface SpoolFacts {
  readonly directory: string
  /** Free bytes, or undefined if they are not known. */
  readonly freeBytes: number | undefined
  /** Size of the largest object in the bucket in bytes, or undefined if the bucket could not be listed. */
  readonly largestBytes: number | undefined
}

export const findings = ({ directory, freeBytes, largestBytes }: SpoolFacts): ReadonlyArray<Finding> => {
  if (freeBytes === undefined) return [ok(check, `${directory} can be used`)]
  // One is for the snapshot that is sent, and one for a snapshot that is received.
  if (largestBytes === undefined || freeBytes >= 2 * largestBytes)
    return [ok(check, `${directory} has ${freeBytes} bytes free`)]
  return [
    warning(
      check,
      `${directory} has ${freeBytes} bytes free, the largest object in the bucket has ${largestBytes}`,
      "snapshots larger than spool_memory pass through it, and are retried until there is enough space",
      "free up space there, or set spool_directory to a directory on a larger disk"
    )
  ]
}
