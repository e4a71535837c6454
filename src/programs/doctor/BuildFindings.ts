/** Checks that the build of the package `lmdb` has the right data format and the patches. */
import type { LmdbError } from "../../services/Lmdb.ts"
import { error, type Finding, ok } from "./Finding.ts"

const check = "build"

/** Returns the findings. `problem` is the error with which the daemon refuses the build. */
export const findings = (version: string, problem: LmdbError | undefined): ReadonlyArray<Finding> => {
  if (problem === undefined) return [ok(check, version)]
  const { reason } = problem
  return [
    error(
      check,
      reason._tag === "WrongBuild"
        ? `the package lmdb was built as ${reason.version}, without its ${reason.lacks}`
        : reason.message,
      "the daemon refuses to start, because it could damage the files of other applications or crash on them",
      reason._tag === "WrongBuild" ? `run: ${reason.command}` : "reinstall the package"
    )
  ]
}
