/**
 * Refuses, before any file is opened, a package `lmdb` that scripts/build-lmdb.mjs did not build.
 *
 * The prebuilt binary that npm downloads is a fork with another data format, and crashes the process when it opens a
 * file of another application. The source in the package has bugs that are fixed in later releases of LMDB 0.9. The
 * patches of this project (patches/) fix them and add a mark to the version text.
 */
import { Effect } from "effect"
import { LmdbError, WrongBuild } from "../../../services/Lmdb.ts"
import { lmdbBuildCommand } from "./BuildCommand.ts"
import { version } from "./NativeAddon.ts"

/** The fork's patch levels start at 90. */
const forkPatch = 90

/**
 * The mark that patches/lmdb-0.9.29.patch adds to the version text. Its number rises with each change of the patches.
 */
const patchesMark = "; lightningstream 4)"

const lacking = ({ patch, versionString }: typeof version): WrongBuild["lacks"] | undefined => {
  if (patch >= forkPatch) return "format"
  return versionString.includes(patchesMark) ? undefined : "patches"
}

/** Takes the version as an argument, so that tests can pass wrong ones. */
export const checkVersion = (built: typeof version): Effect.Effect<void, LmdbError> => {
  const lacks = lacking(built)
  if (lacks === undefined) return Effect.void
  const reason = new WrongBuild({ version: built.versionString, lacks, command: lmdbBuildCommand })
  return Effect.fail(new LmdbError({ path: "of any database", reason }))
}

export const check = checkVersion(version)
