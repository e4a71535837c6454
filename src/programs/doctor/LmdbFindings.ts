/** Turns the facts about an LMDB into findings of `doctor`. */
import type { LmdbFacts, ReaderTable } from "../../services/LmdbTask.ts"
import * as DbisCheck from "./DbisCheck.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"
import * as MapCheck from "./MapCheck.ts"
import * as ReadersCheck from "./ReadersCheck.ts"

const check = "LMDB"

/** Returns the finding for a missing file. `isMade` is the value of `options.create`. */
export const missing = (path: string, isMade: boolean): ReadonlyArray<Finding> => [
  isMade
    ? ok(check, `${path} does not exist yet: the daemon creates it (options.create)`)
    : error(
        check,
        `${path} does not exist`,
        "the daemon waits until it exists",
        "start the application that creates it, correct path and options.no_subdir, or set options.create: true"
      )
]

export const unusable = (message: string): ReadonlyArray<Finding> => [
  error(check, message, "the daemon cannot use it", "see the section The LMDB in docs/operations.md")
]

/** Returns the finding for a write lock that is not free. `holders` are the processes that have the LMDB open. */
export const locked = (waitedSeconds: number, holders: ReadonlyArray<string>): ReadonlyArray<Finding> => [
  error(
    check,
    `the write lock was not free within ${waitedSeconds} s`,
    "while another process holds it, nothing can be merged and the daemon cannot start",
    holders.length === 0
      ? "find the process that holds it"
      : `check which of these processes is writing or hangs in a transaction: process ${holders.join(", ")}`
  )
]

export const readers = (table: ReaderTable, holders: ReadonlyArray<string>): ReadonlyArray<Finding> => [
  ok(check, holders.length === 0 ? "no other process has it open" : `open in process ${holders.join(", ")}`),
  ...ReadersCheck.findings(table)
]

/** Returns the findings for an LMDB that can be opened. `configured` is the value of `options.map_size`. */
export const content = (
  { mapSize }: ReaderTable,
  facts: LmdbFacts,
  configured: number,
  isNative: boolean,
  systemPageSize: number | undefined
) => {
  const pages: ReadonlyArray<Finding> =
    systemPageSize === undefined || facts.pageSize === Math.min(systemPageSize, 32_768)
      ? []
      : [
          warning(
            check,
            `the page size is ${facts.pageSize} bytes, and that of this system is ${systemPageSize}`,
            "the file was created on another machine, and works, but needs more memory or more writes",
            "if that matters, let the application create it again on this machine"
          )
        ]
  return [
    ...pages,
    ...MapCheck.findings({ ...facts, mapSize, configured }),
    ...DbisCheck.findings(facts.dbis, isNative)
  ]
}
