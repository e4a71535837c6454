/** Compares the map size of an LMDB with the used part of the map, and with the configuration. */
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "map size"

/** Used parts of the map. Free pages can be reused, but not all of them at once, so a map should never be full. */
const soon = 0.8
const full = 0.95

export interface MapFacts {
  /** Map size in bytes. */
  readonly mapSize: number
  /** Bytes of pages in use. */
  readonly used: number
  /** Page size in bytes. */
  readonly pageSize: number
  /** Value of `options.map_size`. 0 stands for the size in the file. */
  readonly configured: number
}

export const findings = ({ configured, mapSize, pageSize, used }: MapFacts): ReadonlyArray<Finding> => {
  const part = used / mapSize
  const what = `${used} of ${mapSize} bytes are used (${(100 * part).toFixed(0)} %), pages of ${pageSize} bytes`
  const why = "when it is full, neither the application nor a merge can write"
  const todo = "raise the application's map size, and options.map_size if it is set, and restart both"
  const use =
    part >= full ? error(check, what, why, todo) : part >= soon ? warning(check, what, why, todo) : ok(check, what)
  if (configured === 0 || configured === mapSize) return [use]
  const differs = warning(
    check,
    `options.map_size is ${configured} bytes, but the file has ${mapSize}`,
    configured < mapSize
      ? "the daemon cannot write or see more than that"
      : "the daemon's first commit writes it into the file",
    "set it to the map size of the application, or to 0 to use that of the file"
  )
  return [use, differs]
}
