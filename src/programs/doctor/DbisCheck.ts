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
          "the daemon ends at its start",
          "see docs/sync.md for what each mode can sync"
        )
      ]
    if (headerProblem === undefined) return []
    return [
      error(
        check,
        `${name}: ${headerProblem}`,
        "the daemon ends when it meets such a value",
        isNative
          ? "if the application does not write headers, set schema_tracks_changes: false"
          : "run drop-shadow while no daemon runs, and start again"
      )
    ]
  })
  if (problems.length > 0) return problems
  const looked = dbis.reduce((sum, dbi) => sum + dbi.looked, 0)
  const mode = isNative ? "native" : "shadow"
  return [ok(check, `${dbis.length} in ${mode} mode, ${looked} headers looked at`)]
}
