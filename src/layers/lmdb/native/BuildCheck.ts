/**
 * Refuses a package `lmdb` that was not built with the v1 data format (LMDB 0.9). The prebuilt binary that npm
 * downloads is a fork with another format: it crashes the process when it opens a file of another application. So this
 * is checked before any file is opened.
 */
import { Effect } from "effect"
import { LmdbError, WrongBuild } from "../../../services/Lmdb.ts"
import { lmdbBuildCommand } from "./BuildCommand.ts"
import { version } from "./NativeAddon.ts"

/** The fork counts its patch levels from 90. */
const forkPatch = 90

/** Of any version, so that a wrong one can be tested. */
export const checkVersion = (built: typeof version): Effect.Effect<void, LmdbError> =>
  built.patch < forkPatch
    ? Effect.void
    : Effect.fail(
        new LmdbError({
          path: "of any database",
          reason: new WrongBuild({ version: built.versionString, command: lmdbBuildCommand })
        })
      )

export const check = checkVersion(version)
