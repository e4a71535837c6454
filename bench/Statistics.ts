/** What several measurements of the same thing say together. */

export const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

export interface Mean {
  readonly mean: number
  /** Its standard error. */
  readonly error: number
}

export const meanOf = (samples: ReadonlyArray<number>): Mean => {
  const count = samples.length
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / count
  const squares = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0)
  return { mean, error: Math.sqrt(squares / Math.max(1, count - 1) / count) }
}

/** Returns the quotient of two independent means. */
export const quotientOf = (of: Mean, by: Mean): Mean => {
  const mean = of.mean / by.mean
  return { mean, error: Math.abs(mean) * Math.hypot(of.error / of.mean, by.error / by.mean) }
}
