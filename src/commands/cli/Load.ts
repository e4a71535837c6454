/**
 * Loads the modules that a command needs besides its flags and help. `version` and `--help` load none of them, and so
 * take no longer than Node itself.
 */
import { Effect, Schema } from "effect"
import { lmdbBuildCommand } from "../../layers/lmdb/native/BuildCommand.ts"
import { commandName } from "./UsageError.ts"

/** A part of the command, most likely a native package, is missing or does not fit this system. */
export class NotInstalled extends Schema.TaggedError<NotInstalled>()("NotInstalled", { detail: Schema.String }) {
  override get message(): string {
    return (
      `${commandName}: the installation is not complete: ${this.detail}\n` +
      `If it is the package lmdb that has no native build, run: ${lmdbBuildCommand}`
    )
  }
}

export type Modules<Parts> = { readonly [Name in keyof Parts]: Awaited<Parts[Name]> }

/** Awaits a record of `import()`s and returns the modules under the same names. */
export const load = <Parts extends Record<string, Promise<unknown>>>(
  parts: () => Parts
): Effect.Effect<Modules<Parts>, NotInstalled> =>
  Effect.tryPromise({
    try: () => {
      const imports = Object.entries(parts())
      return Promise.all(imports.map(([, module]) => module)).then(
        (modules) => Object.fromEntries(imports.map(([name], index) => [name, modules[index]])) as Modules<Parts>
      )
    },
    catch: (error) => new NotInstalled({ detail: error instanceof Error ? error.message : String(error) })
  })
