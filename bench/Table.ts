/** Formats figures and their goals as Markdown. */

/** A figure as text, with its goal. */
export interface Figure {
  readonly text: string
  /** The goal as text. Absent if the figure is only for information. */
  readonly goal?: string | undefined
  readonly reached?: boolean | undefined
}

/** The cells of a row, by the headings of their columns. */
export type Row = Readonly<Record<string, Figure>>

export const plain = (text: string): Figure => ({ text })

/** Returns a figure whose goal is that `value` is at most `limit`. */
export const atMost = (value: number, limit: number, write: (value: number) => string): Figure => ({
  text: write(value),
  goal: `≤ ${write(limit)}`,
  reached: value <= limit
})

export const must = (reached: boolean, text: string): Figure => ({ text, goal: "", reached })

export const seconds = (millis: number): string => `${(millis / 1000).toFixed(millis < 1000 ? 3 : 2)} s`
export const milliseconds = (millis: number): string => `${millis.toFixed(millis < 10 ? 1 : 0)} ms`
export const megabytes = (value: number): string => `${value.toFixed(0)} MB`
export const times = (value: number): string => value.toFixed(2)

const cell = ({ goal, reached, text }: Figure): string =>
  reached === undefined
    ? text
    : `${text}${goal === undefined || goal === "" ? "" : ` (${goal})`} ${reached ? "✓" : "✗"}`

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** Returns a table with all columns of all rows, in the order in which they first appear. */
export const render = (rows: ReadonlyArray<Row>): string => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return [
    line(columns),
    line(columns.map(() => "---")),
    ...rows.map((row) => line(columns.map((column) => (row[column] === undefined ? "–" : cell(row[column])))))
  ].join("\n")
}

export const missed = (rows: ReadonlyArray<Row>): number =>
  rows.flatMap((row) => Object.values(row)).filter(({ reached }) => reached === false).length
