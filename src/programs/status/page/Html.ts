/** HTML templates. Inserted values are escaped, because names in a bucket or an LMDB may contain any characters. */

/** Text that is already HTML and is not escaped again. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = Html | string | number | undefined | ReadonlyArray<Html>

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const textOf = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Html) return part.text
  if (typeof part === "object") return part.map(({ text }) => text).join("")
  return String(part)
    .replace(/[&<>"']/g, (character) => entities[character]!)
    .replace(/(?![\n\t])\p{Cc}/gu, "\ufffd")
}

export const markup = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.reduce((all, string, index) => all + textOf(parts[index - 1]) + string))
