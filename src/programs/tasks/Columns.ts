/** Formats rows of cells as aligned columns. */

/** Returns the text. `sides` has one letter for each column, `l` (left) or `r` (right). The first row is the header. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>, sides: string): string => {
  const widths = Array.from(sides, (_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const pad = (cell: string, column: number) =>
    sides[column] === "l" ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
  return rows.map((row) => `${row.map(pad).join("  ").trimEnd()}\n`).join("")
}
