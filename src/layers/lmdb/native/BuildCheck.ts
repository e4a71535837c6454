/**
 * Refuses a package `lmdb` that scripts/build-lmdb.mjs did not build: before any file is opened.
 *
 * The prebuilt binary that npm downloads is a fork with another data format: it crashes the process when it opens a
 * file of another application. The source in the package has faults that later releases of LMDB 0.9 do not have; the
 * patches of this project (patches/) correct them, and say so in the version text.
 */
import { Effect } from "effect"
import { LmdbError, WrongBuild } from "../../../services/Lmdb.ts"
import { lmdbBuildCommand } from "./BuildCommand.ts"
import { version } from "./NativeAddon.ts"

/** The fork counts its patch levels from 90. */
const forkPatch = 90

/** What patches/lmdb-0.9.29.patch adds to the version text. The number rises with each change of the patches. */
const patchesMark = "; lightningstream 3)"

const lacking = ({ patch, versionString }: typeof version): WrongBuild["lacks"] | undefined => {
  if (patch >= forkPatch) return "format"
  return versionString.includes(patchesMark) ? undefined : "patches"
}

/** Takes any version, so that wrong ones can be tested. */
export const checkVersion = (built: typeof version): Effect.Effect<void, LmdbError> => {
  const lacks = lacking(built)
  if (lacks === undefined) return Effect.void
  const reason = new WrongBuild({ version: built.versionString, lacks, command: lmdbBuildCommand })
  return Effect.fail(new LmdbError({ path: "of any database", reason }))
}

export const check = checkVersion(version)
