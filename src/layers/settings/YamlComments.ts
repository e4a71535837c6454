/** Tells comments of a YAML text from everything else, without parsing the text. */
import * as Yaml from "yaml"

/** Marks that the lexer adds, and that are not part of the text. */
const lexerMarks: ReadonlySet<string> = new Set(["\u0002", "\u0018", "\u001f"])

/** Applies `replace` to everything but comments. */
export const mapOutsideComments = (text: string, replace: (text: string) => string): string => {
  let result = ""
  let pending = ""
  for (const token of new Yaml.Lexer().lex(text)) {
    if (lexerMarks.has(token)) continue
    if (!token.startsWith("#")) pending += token
    else {
      result += replace(pending) + token
      pending = ""
    }
  }
  return result + replace(pending)
}
