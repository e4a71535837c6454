/** What several measurements of the same thing say together. */

export const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Returns the mean, and its standard error. */
export const meanOf = (samples: ReadonlyArray<number>): { readonly mean: number; readonly error: number } => {
  const count = samples.length
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / count
  const squares = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0)
  return { mean, error: Math.sqrt(squares / Math.max(1, count - 1) / count) }
}
