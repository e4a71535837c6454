/**
 * Replaces `$NAME` and `${NAME}` by the environment's values, and `$$` by one `$`; a `$` without a name after it stays.
 * A variable that is not set becomes a mark that survives parsing, so that the error can name the setting it was needed
 * for.
 */

/** Two characters for private use, which YAML allows in any text and no file has. */
const [open, close] = ["\uE0F8", "\uE0F9"] as const

const variable = /\$(?:\$|\{([^}\n]+)\}|([A-Za-z_][A-Za-z0-9_]*))/g
const mark = new RegExp(`${open}([^${close}]*)${close}`, "g")

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

export const replaceVariables = (text: string, environment: EnvironmentVariables): string =>
  text.replace(variable, (_, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare
    return name === undefined ? "$" : (environment[name] ?? open + name + close)
  })

/** Names of the variables that were not set, in a text that was replaced. */
export const unsetIn = (text: string): ReadonlyArray<string> => [
  ...new Set([...text.matchAll(mark)].map(([, name = ""]) => name))
]
