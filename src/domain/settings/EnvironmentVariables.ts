/**
 * Replaces `$NAME` and `${NAME}` by the values of environment variables, and `$$` by a single `$`. A `$` that is not
 * followed by a name stays. A variable that is not set is replaced by a mark that survives parsing, so that the error
 * can name the setting that needed it.
 */

/** Two characters from Unicode's private use area, which YAML allows in any text and no real file contains. */
const [open, close] = ["\uE0F8", "\uE0F9"] as const

const variable = /\$(?:\$|\{([^}\n]+)\}|([A-Za-z_][A-Za-z0-9_]*))/g
const mark = new RegExp(`${open}([^${close}]*)${close}`, "g")

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

export const replaceVariables = (text: string, environment: EnvironmentVariables): string =>
  text.replace(variable, (_, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare
    return name === undefined ? "$" : (environment[name] ?? open + name + close)
  })

/** Returns the names of the unset variables that are marked in a text after replacement. */
export const unsetIn = (text: string): ReadonlyArray<string> => [
  ...new Set([...text.matchAll(mark)].map(([, name = ""]) => name))
]
