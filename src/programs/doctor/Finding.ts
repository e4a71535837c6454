/** A finding of `doctor`, which is printed as one line. */

export interface Finding {
  /** Name of the check, such as `clock`. */
  readonly check: string
  /** Name of the database, or undefined if the finding concerns all of them. */
  readonly database?: string
  readonly level: "ok" | "warning" | "error"
  /** What was found. */
  readonly what: string
  /** Why it matters. Absent if nothing is wrong. */
  readonly why?: string
  /** What to do. Absent if nothing is wrong. */
  readonly todo?: string
}

export const ok = (check: string, what: string): Finding => ({ check, level: "ok", what })

export const warning = (check: string, what: string, why: string, todo: string): Finding => ({
  check,
  level: "warning",
  what,
  why,
  todo
})

export const error = (check: string, what: string, why: string, todo: string): Finding => ({
  check,
  level: "error",
  what,
  why,
  todo
})

/** Returns the findings with the name of a database. */
export const of = (database: string, findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> =>
  findings.map((finding) => ({ ...finding, database }))

export const hasErrors = (findings: ReadonlyArray<Finding>): boolean => findings.some(({ level }) => level === "error")

/** Returns a message as one line. */
const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ").trim()

export const text = ({ check, database, level, todo, what, why }: Finding): string => {
  const subject = database === undefined ? check : `${check} of ${database}`
  const parts = [what, why, todo].filter((part) => part !== undefined).map(oneLine)
  return `${level.padEnd(8)} ${subject}: ${parts.join("; ")}\n`
}

export const json = (finding: Finding): string => `${JSON.stringify(finding)}\n`
