/** Checks the flags of the DBIs of an LMDB, and the headers of their first values, by the mode of the database. */
import type { LmdbFacts } from "../../services/LmdbTask.ts"
import { error, type Finding, ok } from "./Finding.ts"

const check = "DBIs"

export const findings = (dbis: LmdbFacts["dbis"], isNative: boolean): ReadonlyArray<Finding> => {
  const problems = dbis.flatMap(({ headerProblem, name, problem }): ReadonlyArray<Finding> => {
    if (problem !== undefined)
      return [
        error(
          check,
          `${name}: ${problem}`,
          "the daemon fails to start",
          "see docs/sync.md for the DBIs that each mode can sync"
        )
      ]
    if (headerProblem === undefined) return []
    return [
      error(
        check,
        `${name}: ${headerProblem}`,
        "the daemon stops with an error when it reads such a value",
        isNative
          ? "if the application does not write headers, set schema_tracks_changes: false"
          : "stop the daemon, run drop-shadow, and start the daemon again"
      )
    ]
  })
  if (problems.length > 0) return problems
  const looked = dbis.reduce((sum, dbi) => sum + dbi.looked, 0)
  const mode = isNative ? "native" : "shadow"
  return [ok(check, `${dbis.length} in ${mode} mode, ${looked} headers checked`)]
}
